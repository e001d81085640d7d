/** The launcher's part of a workload's life, the same for every boundary that a supervisor carries. */

import type { Call } from "../contract/call.ts";
import type { Adoption } from "../contract/driver.ts";
import { Failure, toFailure } from "../contract/failure.ts";
import type { LaunchPlan } from "../contract/launch-plan.ts";
import { findExitRecord, lostReason, toEndReason } from "./exit-record.ts";
import type { Launcher } from "./launcher-client.ts";
import { findSandbox, type SupervisedOptions } from "./supervised-sandbox.ts";

/** Has the launcher carry out a plan. When it rejects, nothing stands: also after an abort, or when the launcher died meanwhile. */
export async function raise(launcher: Launcher, plan: LaunchPlan, call: Call): Promise<{ readonly mainPid: number | undefined }> {
  if (call.signal.aborted) throw cancelled(plan);
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(cancelled(plan));
  call.signal.addEventListener("abort", abort);
  const launched = launcher.request("launch", { plan }, (progress) => {
    if (typeof progress["phase"] === "string") call.reached(progress["phase"]);
  });
  try {
    const { mainPid } = await Promise.race([launched, aborted.promise]);
    return { mainPid: mainPid ?? undefined };
  } catch (thrown) {
    const failure = toFailure(thrown);
    // A plain refusal has left nothing. Where nobody could say so, it is made sure.
    if (failure.code === "CANCELLED" || failure.code === "CONNECTION_LOST") {
      await clear(launcher, plan, call);
      // The launch may have been too young to be found: its answer is the moment after which it can.
      const stood = await launched.then(
        () => true,
        () => false,
      );
      if (stood) await clear(launcher, plan, call);
    }
    throw failure;
  } finally {
    call.signal.removeEventListener("abort", abort);
  }
}

async function clear(launcher: Launcher, plan: LaunchPlan, call: Call): Promise<void> {
  try {
    await launcher.request("remove", { workload: plan.workload, directory: plan.directory, keepDirectory: true });
  } catch (thrown) {
    call.log.error({ workload: plan.workload, error: toFailure(thrown).message }, "what a cut launch left could not be cleared; the next sweep will");
  }
}

function cancelled(plan: LaunchPlan): Failure {
  return new Failure("CANCELLED", "The launch was given up", { workload: plan.workload });
}

/** What a driver knows of a bundle that it is asked to adopt. */
export interface LaunchTraces {
  /** Whether a launch was ever begun on it, and whether the main process was ever told to go. */
  readonly launched: boolean;
  readonly startAsked: boolean;
}

/** Finds out what became of a bundle's latest launch: by its socket, then by its record, then by the traces. */
export async function adoptSandbox(options: SupervisedOptions, traces: LaunchTraces): Promise<Adoption> {
  const found = await findSandbox(options);
  if (found !== undefined) {
    const { state } = found.hello;
    if (state !== "ending") return { state: "standing", sandbox: found.sandbox, main: state };
    // Whether it had ever been let go is in its record, and nowhere else: one that was held must not be told as having run.
    await found.sandbox.ended;
  }
  const record = await findExitRecord(options.exitRecord);
  if (record !== undefined) return { state: "ended", reason: toEndReason(record), started: record.started };
  if (!traces.launched) return { state: "not-launched" };
  await options.clear();
  // Its launch was cut, or its supervisor was killed before anything of the workload ran: for the workload that is the same.
  if (!traces.startAsked) return { state: "not-launched" };
  return { state: "ended", reason: lostReason("its supervisor was killed while no daemon looked, and left no record"), started: true };
}
