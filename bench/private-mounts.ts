/**
 * crun refuses hosts whose cgroups are hybrid. The raw mechanism is then measured in a private mount namespace in which the v2
 * half is not visible: the program runs itself again in there. Nothing outside changes.
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const MARK = "BULKHEAD_BENCH_PRIVATE_MOUNTS";

const HIDE = `set -e
mount --make-rslave /
mount -t tmpfs tmpfs /mnt
for controller in /sys/fs/cgroup/*/; do
  name=$(basename "$controller")
  [ "$name" = unified ] && continue
  mkdir -p "/mnt/$name"
  mount --bind "$controller" "/mnt/$name"
done
mount --rbind /mnt /sys/fs/cgroup
exec "$@"`;

/** The exit code of the run inside; undefined where this process may go on by itself. */
export function insidePrivateMounts(): number | undefined {
  const hybrid = existsSync("/sys/fs/cgroup/unified") && existsSync("/sys/fs/cgroup/memory");
  if (!hybrid || process.env[MARK] !== undefined || process.getuid?.() !== 0) return undefined;
  const ignore = (): void => {};
  process.on("SIGINT", ignore); // the run inside hears it as well, and decides
  const inside = spawnSync("unshare", ["--mount", "sh", "-c", HIDE, "sh", process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    stdio: "inherit",
    env: { ...process.env, [MARK]: "1" },
  });
  process.off("SIGINT", ignore);
  if (inside.error !== undefined) return undefined;
  return inside.status ?? 1;
}
