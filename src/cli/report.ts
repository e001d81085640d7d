/** Telling what went wrong, and the exit code that goes with it. */

import { Failure } from "../../sdk/src/index.ts";
import { UsageError } from "./command.ts";
import { colour, printLine, tell } from "./output.ts";

/** One sentence, then what to do about it. */
export function reportFailure(thrown: unknown, verb: string | undefined): void {
  if (thrown instanceof UsageError) {
    tell(`${colour("bulkhead:", "red", 2)} ${thrown.message}`);
    tell(`Remedy: ${thrown.remedy ?? `see \`bulkhead ${verb === undefined ? "help" : `${verb} --help`}\``}`);
    return;
  }
  if (thrown instanceof Failure) {
    tell(`${colour("bulkhead:", "red", 2)} ${thrown.message.trim()}`);
    if (thrown.remedy !== undefined) tell(`Remedy: ${thrown.remedy}`);
    return;
  }
  tell(`${colour("bulkhead:", "red", 2)} ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  tell("Remedy: try again; if it says the same, report it with what BULKHEAD_DEBUG=1 prints");
  if (process.env["BULKHEAD_DEBUG"] !== undefined && thrown instanceof Error) tell(thrown.stack ?? "");
}

/** What docker's client exits with: 126 and 127 for a command that cannot be run, else what the verb says. */
export function exitCodeOf(thrown: unknown, otherwise: number): number {
  if (thrown instanceof UsageError) return 125;
  if (thrown instanceof Failure && thrown.code === "COMMAND_NOT_FOUND") return 127;
  if (thrown instanceof Failure && thrown.code === "COMMAND_NOT_EXECUTABLE") return 126;
  return otherwise;
}

/** Does the same to each argument: prints what succeeded, tells what failed, goes on, and gives 1 if anything did. */
export async function forEach(args: readonly string[], verb: string, act: (argument: string) => Promise<string | undefined>): Promise<number> {
  let code = 0;
  for (const argument of args) {
    try {
      const line = await act(argument);
      if (line !== undefined) printLine(line);
    } catch (thrown) {
      reportFailure(thrown, verb);
      code = exitCodeOf(thrown, 1);
    }
  }
  return code;
}
