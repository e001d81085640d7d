/** The stop ladder: signal, wait, SIGKILL, wait a little, end the boundary. And kill, pause, resume. */

import { plainCall, type Call } from "../contract/call.ts";
import { Failure, toFailure } from "../contract/failure.ts";
import type { Sandbox } from "../contract/sandbox.ts";
import { announceWorkload } from "./announcement.ts";
import { getDriver, type Context } from "./context.ts";
import { askRunning, endsMeanwhile, within } from "./meanwhile.ts";
import { parseSignal } from "./signals.ts";
import type { Run, Workload } from "./workload.ts";

const DEFAULT_TIMEOUT_SECONDS = 10;
/** After SIGKILL the kernel needs a moment; after that the whole boundary is ended. */
const KILL_GRACE_MS = 2000;

export interface StopOptions {
  readonly timeoutSeconds?: number;
  readonly signal?: string;
}

export class Stopping {
  private readonly context: Context;

  constructor(context: Context) {
    this.context = context;
  }

  /** Once begun it is carried through, also when the caller has gone. */
  async stop(workload: Workload, options: StopOptions, call: Call): Promise<void> {
    const signal = parseSignal(options.signal ?? workload.record.stopSignal);
    const run = await workload.mutex.run(async () => this.markStopped(workload), call.signal);
    if (run === undefined) return;
    const { request, boundary } = workload.record;
    const usual = getDriver(this.context, boundary.kind).traits.stopSeconds ?? DEFAULT_TIMEOUT_SECONDS;
    const seconds = options.timeoutSeconds ?? request.stopTimeoutSeconds ?? usual;
    await this.climb(workload, run, signal, seconds);
    announceWorkload(this.context, workload, "stopped");
  }

  async kill(workload: Workload, asked: string, call: Call): Promise<void> {
    const signal = parseSignal(asked === "" ? "SIGKILL" : asked);
    const run = this.runOf(workload, "kill");
    const ends = signal === "SIGKILL" || signal === workload.record.stopSignal;
    if (ends && !workload.record.stoppedByHand) this.context.roster.change(workload, { stoppedByHand: true });
    await askRunning(this.context, workload, ({ main }) => main.signal(signal, call));
    announceWorkload(this.context, workload, "killed", { signal });
    if (ends && workload.record.state === "paused") await this.unlessOver(run, this.thaw(workload, run));
    if (signal !== "SIGKILL" || (await within(this.context, run.over, KILL_GRACE_MS))) return;
    await run.sandbox.end(plainCall());
    await run.over;
  }

  pause(workload: Workload, call: Call): Promise<void> {
    return workload.mutex.run(async () => {
      const { id } = workload.record;
      if (workload.record.state === "paused") throw new Failure("WRONG_STATE", `Container ${id} is already paused`, { workload: id, remedy: "Resume it." });
      const run = this.runOf(workload, "pause");
      const facet = run.sandbox.pause;
      if (facet === undefined) throw this.unsupported(workload, run.sandbox, "be paused");
      await askRunning(this.context, workload, () => facet.pause(call));
      if (workload.run !== run) throw new Failure("WRONG_STATE", `container ${id} ended while it was paused`, { workload: id });
      this.context.roster.change(workload, { state: "paused" });
      announceWorkload(this.context, workload, "paused");
    }, call.signal);
  }

  resume(workload: Workload, call: Call): Promise<void> {
    return workload.mutex.run(async () => {
      const { id, state } = workload.record;
      if (state !== "paused" || workload.run === undefined) throw new Failure("WRONG_STATE", `Container ${id} is not paused`, { workload: id });
      const { run } = workload;
      await askRunning(this.context, workload, () => this.thaw(workload, run));
    }, call.signal);
  }

  private async thaw(workload: Workload, run: Run): Promise<void> {
    try {
      await run.sandbox.pause?.resume(plainCall());
    } catch (thrown) {
      // A kill and a resume in one moment: the other one was faster.
      if (toFailure(thrown).code !== "UNCHANGED") throw thrown;
    }
    if (workload.run !== run || workload.record.state !== "paused") return;
    this.context.roster.change(workload, { state: "running" });
    announceWorkload(this.context, workload, "resumed");
  }

  /** Writes down that a caller wants it stopped; undefined where that alone has stopped it. */
  private markStopped(workload: Workload): Run | undefined {
    const { context } = this;
    const { state, id } = workload.record;
    if (state === "restarting") {
      workload.cancelRestart?.();
      context.roster.change(workload, { state: "exited", stoppedByHand: true, network: undefined });
      context.networks.leave(id);
      announceWorkload(context, workload, "stopped");
      return undefined;
    }
    if (workload.run === undefined) throw new Failure("UNCHANGED", "the workload does not run", { workload: id });
    context.roster.change(workload, { stoppedByHand: true });
    return workload.run;
  }

  private async climb(workload: Workload, run: Run, signal: string, seconds: number): Promise<void> {
    const call = plainCall();
    await this.unlessOver(run, run.sandbox.main.signal(signal, call));
    if (workload.record.state === "paused") await this.unlessOver(run, this.thaw(workload, run));
    if (seconds < 0) return run.over;
    if (await within(this.context, run.over, seconds * 1000)) return;
    await this.unlessOver(run, run.sandbox.main.signal("SIGKILL", call));
    if (await within(this.context, run.over, KILL_GRACE_MS)) return;
    await run.sandbox.end(call);
    await run.over;
  }

  /** What comes too late for a run that ends by itself is no failure: the run has what was wanted of it. */
  private async unlessOver(run: Run, deed: Promise<unknown>): Promise<void> {
    try {
      await deed;
    } catch (thrown) {
      if (!(await endsMeanwhile(this.context, run))) throw thrown;
    }
  }

  private runOf(workload: Workload, verb: string): Run {
    const { id, state } = workload.record;
    if (workload.run !== undefined) return workload.run;
    throw new Failure("WRONG_STATE", `Cannot ${verb} container: ${id}: Container ${id} is not running`, {
      workload: id,
      remedy: `It is ${state}: start it first.`,
    });
  }

  private unsupported(workload: Workload, sandbox: Sandbox, ability: string): Failure {
    const { kind } = sandbox.identity;
    return new Failure("UNSUPPORTED", `a workload behind ${kind} cannot ${ability}`, {
      workload: workload.id,
      boundary: kind,
      remedy: "Choose another boundary.",
    });
  }
}
