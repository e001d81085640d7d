/**
 * What fails because the workload ended, or was given up, in the same moment is told as that, and not as the accident by which
 * a boundary showed it: a lost connection, a runtime that was killed on its way in.
 */

import { Failure, toFailure, type FailureCode } from "../contract/failure.ts";
import type { Sandbox } from "../contract/sandbox.ts";
import type { Context } from "./context.ts";
import type { Run, Workload } from "./workload.ts";

/** Failures that an end may stand behind. */
const ACCIDENTS: ReadonlySet<FailureCode> = new Set(["INTERNAL", "CONNECTION_LOST", "WRONG_STATE", "NOT_FOUND", "COMMAND_NOT_FOUND", "COMMAND_NOT_EXECUTABLE"]);
/** A boundary may be seen to break before its end is known. */
const END_PATIENCE_MS = 1000;

/** Asks the running sandbox; rejects WRONG_STATE where the workload does not run, or ended before the answer came. */
export async function askRunning<T>(context: Context, workload: Workload, ask: (sandbox: Sandbox) => Promise<T>): Promise<T> {
  const { run } = workload;
  if (run === undefined) throw notRunning(workload);
  try {
    return await ask(run.sandbox);
  } catch (thrown) {
    const failure = toFailure(thrown);
    if (ACCIDENTS.has(failure.code) && (await isOver(context, workload, run, failure))) throw notRunning(workload, failure);
    throw failure;
  }
}

export function notRunning(workload: Workload, cause?: Failure): Failure {
  const { id } = workload;
  return new Failure("WRONG_STATE", `container ${id} is not running`, { workload: id, remedy: "Start it first.", ...(cause === undefined ? {} : { cause }) });
}

/** Resolves true once `over` has, false when the time is up. */
export function within(context: Context, over: Promise<void>, ms: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const cancel = context.clock.after(ms, () => resolve(false));
  void over.then(() => {
    cancel();
    resolve(true);
  });
  return promise;
}

/** Whether a run that was seen to fail comes to its end within a moment. */
export function endsMeanwhile(context: Context, run: Run): Promise<boolean> {
  return within(context, run.over, END_PATIENCE_MS);
}

async function isOver(context: Context, workload: Workload, run: Run, failure: Failure): Promise<boolean> {
  if (workload.run !== run) return true;
  // Only what no caller could have caused is worth a wait: a command that is not there is known at once.
  return (failure.code === "INTERNAL" || failure.code === "CONNECTION_LOST") && (await endsMeanwhile(context, run));
}
