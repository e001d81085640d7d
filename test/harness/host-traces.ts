/**
 * What stands on the host: processes, mounts, cgroups, network interfaces, namespaces with names, nft tables, taps, sockets. Two looks
 * compared say what was left behind. Only what carries a root's identity or was made below its directories is looked at, so that
 * other work on the same host disturbs nothing.
 */

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

export interface HostTraces {
  readonly processes: readonly string[];
  /** And loop devices, which somebody has mounted. */
  readonly mounts: readonly string[];
  readonly cgroups: readonly string[];
  readonly interfaces: readonly string[];
  readonly firewall: readonly string[];
  /** That are held by a descriptor of the launcher: nothing else would keep them once their last process is gone. */
  readonly namespaces: readonly string[];
  readonly files: readonly string[];
}

/** What a daemon without workloads has. */
export const NO_TRACES: HostTraces = { processes: [], mounts: [], cgroups: [], interfaces: [], firewall: [], namespaces: [], files: [] };

export interface Place {
  /** The daemon's root directory. */
  readonly root: string;
  /** Six hexadecimal digits. */
  readonly rootId: string;
}

export function readTraces(place: Place): HostTraces {
  return {
    processes: findProcesses(place),
    mounts: findMounts(place),
    cgroups: findCgroups(place.rootId),
    interfaces: readdirSync("/sys/class/net").filter((name) => name.includes(place.rootId) && !isBridge(name)),
    firewall: findPortRules(place.rootId),
    namespaces: findHeldNamespaces(place),
    files: ["workloads", "run/s", "run/supervisors"].flatMap((folder) => list(join(place.root, folder))),
  };
}

/** What belongs to none of these workloads, and to no wasm runner that lives: those stay for their domain's next module. Interfaces and ports carry no workload's id: they are strays where there is no workload at all. */
export function findStrays(traces: HostTraces, workloads: readonly string[]): string[] {
  const runners = traces.processes.flatMap((trace) => / of (wasm-\S+):/.exec(trace)?.[1] ?? []);
  const owned = (trace: string) => workloads.some((id) => trace.includes(id.slice(0, 12))) || runners.some((name) => trace.includes(name));
  const named = [...traces.processes, ...traces.mounts, ...traces.cgroups, ...traces.files];
  const unnamed = [...traces.interfaces, ...traces.firewall, ...traces.namespaces];
  return [...named.filter((trace) => !owned(trace)), ...(workloads.length === 0 ? unnamed : [])];
}

/** In the tests' own namespace, and in the launcher's, which alone sees what it mounts for workloads. */
function findMounts({ root }: Place): string[] {
  const seen = readLines("/proc/self/mountinfo").filter((line) => line.includes(`${root}/`));
  const own = readLines(`/proc/${findLauncher(root)}/mountinfo`).filter((line) => line.includes(`${root}/workloads/`));
  return [...seen, ...own, ...findLoops(root)];
}

/** Files below the root that are block devices now. */
export function findLoops(root: string): string[] {
  const loops = list("/sys/block").filter((name) => name.startsWith("loop"));
  return loops.map((name) => read(`/sys/block/${name}/loop/backing_file`).trim()).filter((file) => file.startsWith(`${root}/`));
}

function findHeldNamespaces({ root }: Place): string[] {
  const descriptors = `/proc/${findLauncher(root)}/fd`;
  return list(descriptors).flatMap((name) => {
    const target = readTarget(join(descriptors, name));
    return /^(mnt|net|pid|user|ipc|uts|cgroup):\[|^net$|\/ns\//.test(target) ? [target] : [];
  });
}

function findLauncher(root: string): string {
  return read(join(root, "launcher.lock")).trim();
}

/** Supervisors, monitors and workloads: whatever has the root's directory or a cgroup of its identity. Daemon and launcher are left out. */
function findProcesses({ root, rootId }: Place): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const comm = read(`/proc/${pid}/comm`).trim();
    const command = read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
    const cgroup = read(`/proc/${pid}/cgroup`);
    const ours =
      cgroup.includes(`bulkhead-${rootId}`) ||
      (comm.startsWith("bulkhead-super") && command.includes(root)) ||
      workingDirectory(pid).startsWith(`${root}/workloads`);
    if (ours) found.push(`${comm} ${pid} of ${findOwner(pid, cgroup)}: ${command.slice(0, 120)}`);
  }
  return found;
}

/** The workload or wasm runner of a process: by its control group, or, of a supervisor, by the files that it keeps open. */
function findOwner(pid: string, cgroup: string): string {
  const descriptors = `/proc/${pid}/fd`;
  const inGroup = /\/([0-9a-f]{64}|wasm-[0-9a-f-]+)/.exec(cgroup)?.[1];
  const byFile = () =>
    /\/workloads\/([0-9a-f]{64})/.exec(
      list(descriptors)
        .map((name) => readTarget(join(descriptors, name)))
        .join("\n"),
    )?.[1];
  return inGroup ?? byFile() ?? "nobody";
}

function findCgroups(rootId: string): string[] {
  const base = "/sys/fs/cgroup";
  const hierarchies = existsSync(join(base, "cgroup.controllers")) ? [base] : list(base).map((name) => join(base, name));
  const found: string[] = [];
  for (const hierarchy of hierarchies) {
    for (const top of list(hierarchy).filter((name) => name.includes(rootId))) {
      for (const child of list(join(hierarchy, top))) if (existsSync(join(hierarchy, top, child, "cgroup.procs"))) found.push(join(hierarchy, top, child));
    }
  }
  return found;
}

function findPortRules(rootId: string): string[] {
  try {
    const rules = execFileSync("nft", ["list", "ruleset"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    const table = new RegExp(`table \\w+ bulkhead-${rootId} \\{[\\s\\S]*?\\n\\}`, "g");
    // What a bridge needs stays as long as the bridge; elements of the port maps belong to workloads.
    return [...rules.matchAll(table)].flatMap(([text]) =>
      [...text.matchAll(/elements = \{([^}]*)\}/g)].map((match) => (match[1] ?? "").replaceAll(/\s+/g, " ")).filter((elements) => / : /.test(elements)),
    );
  } catch {
    return [];
  }
}

function isBridge(name: string): boolean {
  return existsSync(`/sys/class/net/${name}/bridge`);
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function readLines(path: string): string[] {
  return read(path).split("\n");
}

function workingDirectory(pid: string): string {
  return readTarget(`/proc/${pid}/cwd`);
}

function readTarget(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return "";
  }
}
