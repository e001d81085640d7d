/** Memory as the host pays it: PSS of every process that was added, and what the host has less of. */

import { readdirSync, readFileSync } from "node:fs";

/** PSS in bytes of every process that can be read, by pid. */
export function readAllPss(): Map<number, number> {
  const found = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const bytes = readPss(Number(name));
    if (bytes !== undefined) found.set(Number(name), bytes);
  }
  return found;
}

/** Undefined for a process that is gone or has no memory of its own, as kernel threads. */
export function readPss(pid: number): number | undefined {
  try {
    const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
    return match === null ? undefined : Number(match[1]) * 1024;
  } catch {
    return undefined;
  }
}

/** What processes that came in between take, and what those that stayed took more. Bytes; of processes named in `leaveOut` nothing counts. */
export function addedPss(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>, leaveOut: ReadonlySet<number>): number {
  let total = 0;
  for (const [pid, bytes] of after) if (!before.has(pid) && !leaveOut.has(pid)) total += bytes;
  return total;
}

export function readMemAvailable(): number {
  const match = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"));
  if (match === null) throw new Error("/proc/meminfo has no MemAvailable");
  return Number(match[1]) * 1024;
}
