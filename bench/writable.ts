/** Whether results can be written where they are wanted: asked before minutes of measuring, not after. */

import { closeSync, existsSync, openSync, rmSync } from "node:fs";
import { UsageError } from "./options.ts";
import { reasonOf } from "./reason.ts";

/** Throws UsageError for the first of these files that cannot be written. What is in them stays, and none is made. */
export function requireWritable(paths: readonly (string | undefined)[]): void {
  for (const path of paths) {
    if (path === undefined || path === "-") continue;
    try {
      const stood = existsSync(path);
      closeSync(openSync(path, "a"));
      if (!stood) rmSync(path);
    } catch (thrown) {
      throw new UsageError(`the results cannot be written to ${path}: ${reasonOf(thrown)}`);
    }
  }
}
