/** How much memory the kernel could give out now. */

import { readFileSync } from "node:fs";

/** MemAvailable in bytes; without it, as much as anyone asks for. */
export function readAvailableMemory(): number {
  try {
    const found = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"));
    return found === null ? Infinity : Number(found[1]) * 1024;
  } catch {
    return Infinity;
  }
}
