/**
 * Namespaces of the benchmark's own: the program runs itself again in there, and nothing outside changes.
 *
 * crun refuses hosts whose cgroups are hybrid: raw mechanisms are measured where the v2 half is not visible. Peers get a network of their own
 * besides, in which their bridges and rules stand.
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const MARK = "BULKHEAD_BENCH_PRIVATE_NAMESPACES";

const HIDE_UNIFIED = `mount --make-rslave /
mount -t tmpfs tmpfs /mnt
for controller in /sys/fs/cgroup/*/; do
  name=$(basename "$controller")
  [ "$name" = unified ] && continue
  mkdir -p "/mnt/$name"
  mount --bind "$controller" "/mnt/$name"
done
mount --rbind /mnt /sys/fs/cgroup
`;

/** The exit code of the run inside; undefined where this process may go on by itself. */
export function insidePrivateNamespaces(needs: { readonly network: boolean }): number | undefined {
  const hybrid = existsSync("/sys/fs/cgroup/unified") && existsSync("/sys/fs/cgroup/memory");
  if ((!hybrid && !needs.network) || process.env[MARK] !== undefined || process.getuid?.() !== 0) return undefined;
  const ignore = (): void => {};
  process.on("SIGINT", ignore); // the run inside hears it as well, and decides
  const script = `set -e\n${hybrid ? HIDE_UNIFIED : ""}${needs.network ? "ip link set lo up\n" : ""}exec "$@"`;
  const flags = ["--mount", ...(needs.network ? ["--net"] : [])];
  const inside = spawnSync("unshare", [...flags, "sh", "-c", script, "sh", process.execPath, ...process.execArgv, "--", ...process.argv.slice(1)], {
    stdio: "inherit",
    env: { ...process.env, [MARK]: "1" },
  });
  process.off("SIGINT", ignore);
  if (inside.error !== undefined) return undefined;
  return inside.status ?? 1;
}
