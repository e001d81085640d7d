/** One-line files of /proc and /sys. */

import { readFileSync } from "node:fs";

/** The file's text without its newline; undefined where this kernel has none or does not show it. */
export function findKernelValue(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}
