/** Memory as the host pays it: PSS of every process that Bulkhead added, and what the host has less of. */

import { readdirSync, readFileSync } from "node:fs";
import { optionOf } from "./daemon-processes.ts";

/** PSS in bytes of every process of the daemon with this root directory, by pid: launcher, supervisors, and whatever descends from them. */
export function readOwnPss(root: string): Map<number, number> {
  // Launcher and supervisors carry their root on the command line; other daemons' processes come and go meanwhile.
  return readPssOfTrees(({ name, words }) => name.startsWith("bulkhead-") && optionOf(words(), "--root") === root);
}

interface Candidate {
  readonly pid: number;
  /** As the kernel cuts it. */
  readonly name: string;
  /** Its command line. */
  readonly words: () => readonly string[];
}

/** PSS in bytes, by pid, of every process that is meant and of whatever descends from one. */
export function readPssOfTrees(isMeant: (candidate: Candidate) => boolean): Map<number, number> {
  const parents = new Map<number, { readonly parent: number; readonly meant: boolean }>();
  for (const entry of readdirSync("/proc").filter((one) => /^\d+$/.test(one))) {
    const stat = read(`/proc/${entry}/stat`);
    const end = stat.lastIndexOf(")");
    if (end === -1) continue;
    const name = stat.slice(stat.indexOf("(") + 1, end);
    parents.set(Number(entry), {
      parent: Number(stat.slice(end + 2).split(" ")[1]),
      meant: isMeant({ pid: Number(entry), name, words: () => read(`/proc/${entry}/cmdline`).split("\0") }),
    });
  }
  const belongs = (pid: number): boolean => {
    for (let at = parents.get(pid); at !== undefined; at = parents.get(at.parent)) if (at.meant) return true;
    return false;
  };
  const found = new Map<number, number>();
  for (const pid of parents.keys()) {
    const bytes = belongs(pid) ? readPss(pid) : undefined;
    if (bytes !== undefined) found.set(pid, bytes);
  }
  return found;
}

/** Undefined for a process that is gone or has no memory of its own, as kernel threads. */
export function readPss(pid: number): number | undefined {
  const match = /^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`));
  return match === null ? undefined : Number(match[1]) * 1024;
}

/** What there is more of: processes that came, and what those that stayed took in addition. Bytes. */
export function addedPss(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>): number {
  const sum = (found: ReadonlyMap<number, number>): number => [...found.values()].reduce((total, bytes) => total + bytes, 0);
  return sum(after) - sum(before);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // gone in between
  }
}

export function readMemAvailable(): number {
  const match = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"));
  if (match === null) throw new Error("/proc/meminfo has no MemAvailable");
  return Number(match[1]) * 1024;
}
