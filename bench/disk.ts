/** Disk as the host pays it: the blocks that files have, not their lengths. */

import { lstatSync, readdirSync, type Stats } from "node:fs";
import { join } from "node:path";

/**
 * Bytes that a directory's files take. One with several names counts once, holes count nothing, and what is mounted below belongs to another.
 * `except` are paths that are left out with all below them. Rejects where the directory itself cannot be read.
 */
export function allocatedBytes(directory: string, except: ReadonlySet<string> = new Set()): number {
  const top = lstatSync(directory);
  const seen = new Set<number>();
  let total = 0;
  const walk = (path: string, stat: Stats): void => {
    if (stat.dev !== top.dev || seen.has(stat.ino)) return;
    seen.add(stat.ino);
    total += stat.blocks * 512;
    if (!stat.isDirectory()) return;
    for (const entry of unlessGone(() => readdirSync(path)) ?? []) {
      const below = join(path, entry);
      const found = except.has(below) ? undefined : unlessGone(() => lstatSync(below));
      if (found !== undefined) walk(below, found);
    }
  };
  walk(directory, top);
  return total;
}

/** Files come and go while they are counted. */
function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
