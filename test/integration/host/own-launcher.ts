/** A launcher on a root of a test's own, and everything of that root that can be seen on the host. */

import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { plainCall } from "../../../src/contract/call.ts";
import { LauncherClient } from "../../../src/host/launcher-client.ts";
import { startLauncher } from "../../../src/host/launcher-start.ts";
import { findRemains, watchRoot } from "../../harness/open-roots.ts";
import { findNativeProgram } from "./native-program.ts";

/** A template of systemd units that starts the launcher of a root below /tmp, by the root's name; set where suites run under our unit (test/full). */
const UNIT = process.env["BULKHEAD_TEST_UNIT"];

export interface OwnLauncher {
  readonly root: string;
  /** Directory of supervisors' sockets. */
  readonly sockets: string;
  readonly client: LauncherClient;
  /** A further client, as a new daemon would have. */
  connect(): LauncherClient;
  /** Processes, control groups and files of this root. */
  traces(): Promise<Record<string, readonly string[]>>;
  close(): Promise<void>;
}

/** Undefined with the reason where this host cannot have one. `allow` are programs of the test's own that the launcher shall lend itself to. */
export async function openOwnLauncher(area: string, allow: readonly string[] = []): Promise<OwnLauncher | { readonly unavailable: string }> {
  const program = findNativeProgram("bulkhead-launcher");
  if (process.getuid?.() !== 0) return { unavailable: "the launcher needs root" };
  if (program === undefined) return { unavailable: "bulkhead-launcher is not built" };
  const root = mkdtempSync(`/tmp/bulkhead-${area}-`);
  const run = join(root, "run");
  mkdirSync(run);
  const socket = join(run, "launcher.sock");
  // A copy: the checkout may be built anew while tests run.
  const copy = join(root, "bulkhead-launcher");
  copyFileSync(program, copy);
  const start = async () => {
    if (UNIT !== undefined) execFileSync("systemctl", ["start", `${UNIT}@${basename(root)}`]);
    await startLauncher({ root, run, socket, log: join(root, "log/launcher.log"), programs: [copy], allow, managed: UNIT !== undefined });
  };
  const connect = () => new LauncherClient({ socket, log: plainCall().log, start });
  const client = connect();
  const { rootId, pid } = await client.hello();
  const traces = async () => {
    const { pid: launcher } = await client.hello();
    // A task that has answered, and a supervisor that took its own note away, may take a moment to be gone: its mounts wait for the
    // disk. Only one that stays is a trace.
    for (let waited = 0; isLeaving(root, launcher) && waited < 150; waited++) await pause(20);
    return findTraces(root, rootId, launcher);
  };
  const unwatch = watchRoot({ findStrays: async () => withoutWorkloads(await traces()) });
  return {
    root,
    sockets: join(run, "s"),
    client,
    connect,
    traces,
    close: async () => {
      unwatch();
      // Its bridge and table, where a test had workloads on them.
      await client.request("teardown", {}).catch(() => undefined);
      if (UNIT === undefined) await client.request("shutdown", {}).catch(() => undefined);
      else execFileSync("systemctl", ["stop", `${UNIT}@${basename(root)}`]);
      client.close();
      for (let waited = 0; existsSync(`/proc/${pid}`) && waited < 50; waited++) await pause(20);
      removeGroups(rootId);
      const remains = findRemains(root, rootId);
      rmSync(root, { recursive: true, force: true });
      if (remains.length > 0) throw new Error(`the root left on the host: ${remains.join("; ")}`);
    },
  };
}

const pause = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

function isLeaving(root: string, launcher: number): boolean {
  const children = childrenOf(launcher);
  const supervisors = children.filter((name) => name.endsWith(" bulkhead-super")).length;
  const notes = list(join(root, "run/supervisors")).filter((name) => name.endsWith(".json")).length;
  return supervisors > notes || children.some((name) => name.endsWith(" bulkhead-task"));
}

function findTraces(root: string, rootId: string, launcher: number): Record<string, readonly string[]> {
  return {
    supervisors: childrenOf(launcher),
    groups: groupsOf(rootId),
    mounts: readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => line.includes(root) || line.includes(rootId)),
    interfaces: readdirSync("/sys/class/net").filter((name) => name.includes(rootId)),
    workloads: list(join(root, "workloads")),
    sockets: list(join(root, "run/s")),
    notes: [...list(join(root, "run/supervisors")), ...list(`/proc/${launcher}/root${root}/run/state`)],
  };
}

/** Whatever has no workload's directory to belong to any more, and no wasm runner that lives. Interfaces name no workload: they are judged where there is none. */
function withoutWorkloads(traces: Record<string, readonly string[]>): string[] {
  const { workloads = [], interfaces = [], supervisors: _, ...named } = traces;
  const runners = (named["groups"] ?? []).filter((group) => basename(group).startsWith("wasm-") && hasProcesses(group)).map((group) => basename(group));
  const strays = Object.values(named)
    .flat()
    .filter((trace) => ![...workloads.map((id) => id.slice(0, 32)), ...runners].some((id) => trace.includes(id)));
  // A bridge stays for the next workload.
  const plugged = interfaces.filter((name) => !existsSync(`/sys/class/net/${name}/bridge`));
  return workloads.length === 0 ? [...strays, ...plugged] : strays;
}

function hasProcesses(group: string): boolean {
  try {
    return readFileSync(join(group, "cgroup.procs"), "utf8") !== "";
  } catch {
    return false; // gone in between
  }
}

function list(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).toSorted() : [];
}

/** Names, because a number that comes again would look like the same process. The process that supervisors are forked from always stands. */
function childrenOf(parent: number): string[] {
  const found: string[] = [];
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${entry}/status`, "utf8");
      const name = /^Name:\s+(.*)$/m.exec(status)?.[1];
      if (new RegExp(`^PPid:\\s+${parent}$`, "m").test(status) && name !== "bulkhead-zygote") found.push(`${entry} ${name}`);
    } catch {
      // gone meanwhile
    }
  }
  return found;
}

function groupsOf(rootId: string): string[] {
  // It complains, by its status too, of groups that vanish while it looks: those are gone, and no trace.
  const found = spawnSync("find", ["/sys/fs/cgroup", "-path", `*bulkhead-${rootId}/*`, "-type", "d"], { encoding: "utf8" });
  if (found.error !== undefined) throw found.error;
  return found.stdout.split("\n").filter(Boolean).toSorted();
}

/** The empty groups that a launcher leaves for its next start. */
export function removeGroups(rootId: string): void {
  spawnSync("find", ["/sys/fs/cgroup", "-name", `bulkhead-${rootId}`, "-type", "d", "-exec", "rmdir", "{}", ";", "-prune"], { stdio: "ignore" });
}
