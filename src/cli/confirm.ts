/** Asking before something is destroyed. */

import { createInterface } from "node:readline/promises";
import { UsageError, type OptionDefinition } from "./command.ts";
import type { Flags } from "./flags.ts";
import { isTerminal, tell } from "./output.ts";

export const FORCE_OPTION: OptionDefinition = { name: "force", short: "f", kind: "flag", help: "Do not ask" };

/** True where `--force` was given or a person said yes; a script that did not say --force is refused. */
export async function confirm(flags: Flags, warning: string): Promise<boolean> {
  if (flags.on("force")) return true;
  tell(`WARNING! ${warning}`);
  if (!isTerminal(0)) throw new UsageError("nobody is there to be asked", "say --force");
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question("Are you sure you want to continue? [y/N] ");
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}
