/**
 * A workload's life: start, end, start again.
 *
 *   start: take the held main process ─▶ join who attached ─▶ let go ─▶ write `running` ─▶ answer
 *   end:   (the driver tells) write the exit ─▶ free address and ports ─▶ answer who waits ─▶ restart or remove
 *
 * Operations on one workload take turns; its end does not: it is written at once, wherever an operation stands.
 */

import { plainCall, type Call } from "../contract/call.ts";
import { Failure, toFailure } from "../contract/failure.ts";
import type { ExitStatus } from "../contract/process.ts";
import type { EndReason, Sandbox } from "../contract/sandbox.ts";
import { formatInstant, parseInstant } from "./clock.ts";
import type { Context } from "./context.ts";
import { announceWorkload } from "./announcement.ts";
import type { HealthChecks } from "./health.ts";
import type { Raising } from "./raising.ts";
import type { WorkloadRecord } from "./record.ts";
import type { Removal } from "./removal.ts";
import { nextDelayMs, wantsRestart } from "./restart-policy.ts";
import type { Workload } from "./workload.ts";

const WRITE_AGAIN_MS = 1000;

export class Life {
  private readonly context: Context;
  private readonly raising: Raising;
  private readonly removal: Removal;
  private readonly health: HealthChecks;
  private readonly delays = new WeakMap<Workload, number>();
  private closed = false;

  constructor(context: Context, parts: { readonly raising: Raising; readonly removal: Removal; readonly health: HealthChecks }) {
    this.context = context;
    this.raising = parts.raising;
    this.removal = parts.removal;
    this.health = parts.health;
  }

  start(workload: Workload, call: Call): Promise<void> {
    return workload.mutex.run(async () => {
      this.checkStartable(workload);
      workload.cancelRestart?.();
      this.delays.delete(workload);
      if (workload.record.restartCount !== 0) this.context.roster.change(workload, { restartCount: 0 });
      await this.letGo(workload, call.signal);
    }, call.signal);
  }

  /** A main process that is let go, by us or by the daemon before us: follows it to its end. */
  follow(workload: Workload, sandbox: Sandbox): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    workload.run = { sandbox, over: promise, finish: resolve };
    void sandbox.ended.then((reason) => this.ended(workload, sandbox, reason));
    this.health.begin(workload, sandbox);
  }

  /** Writes down that a run is over, and does what follows from it. */
  finishRun(workload: Workload, reason: EndReason): void {
    const { context } = this;
    const { record } = workload;
    const { status } = reason;
    workload.stopHealth?.();
    const restarts = !this.closed && record.state !== "removing" && wantsRestart(record.request.restart, { ...record, exitCode: status.code });
    const removes = record.request.autoRemove && record.state !== "removing" && !workload.keptAtEnd;
    context.roster.change(workload, {
      ...endedFields(status, reason.kind === "boundary-lost" ? reason.what : undefined),
      state: record.state === "removing" || removes ? "removing" : restarts ? "restarting" : "exited",
      ...(restarts ? { restartCount: record.restartCount + 1 } : { network: undefined }),
    });
    if (!restarts) context.networks.leave(workload.id);
    if (status.outOfMemory) this.tell(workload, "out-of-memory");
    this.tell(workload, "died", { exitCode: String(status.code), ...(reason.kind === "boundary-lost" ? { boundaryLost: reason.what } : {}) });
    if (removes) this.removal.removeEnded(workload);
    else workload.waits.ended({ status, ...(workload.record.error === undefined ? {} : { error: workload.record.error }) });
    if (restarts) this.scheduleRestart(workload);
  }

  /** Starts it again after the policy's delay, unless a caller is faster. */
  scheduleRestart(workload: Workload): void {
    const { startedAt, finishedAt } = workload.record;
    const ranForNs = (parseInstant(finishedAt ?? "") ?? 0n) - (parseInstant(startedAt ?? "") ?? 0n);
    const delay = nextDelayMs(this.delays.get(workload) ?? 0, Number(ranForNs / 1_000_000n));
    this.delays.set(workload, delay);
    const cancel = this.context.clock.after(delay, () => void this.restartNow(workload).catch(() => {}));
    workload.cancelRestart = () => {
      cancel();
      workload.cancelRestart = undefined;
    };
  }

  /** From now on ends are written down, and nothing is restarted. */
  close(): void {
    this.closed = true;
    for (const workload of this.context.roster.all()) {
      workload.cancelRestart?.();
      workload.stopHealth?.();
    }
  }

  private restartNow(workload: Workload): Promise<void> {
    return workload.mutex.run(async () => {
      if (workload.record.state !== "restarting" || this.closed) return;
      workload.cancelRestart = undefined;
      await this.letGo(workload, new AbortController().signal);
    });
  }

  private checkStartable(workload: Workload): void {
    const { state, id } = workload.record;
    if (state === "running") throw new Failure("UNCHANGED", "the workload runs already", { workload: id });
    if (state === "paused") throw new Failure("WRONG_STATE", "cannot start a paused container, try unpause instead", { workload: id, remedy: "Resume it." });
    if (state === "removing" || state === "dead") throw removed(workload);
  }

  private async letGo(workload: Workload, signal: AbortSignal): Promise<void> {
    let sandbox: Sandbox | undefined;
    try {
      sandbox = await this.raising.take(workload, signal);
      await workload.attachments.join(sandbox);
      // Beyond this point an abort would leave it unknown whether the program ran: the start is carried through.
      await sandbox.start(plainCall());
    } catch (thrown) {
      await this.startFailed(workload, sandbox, toFailure(thrown));
      throw this.whyNotStarted(workload, toFailure(thrown), signal);
    }
    this.raising.letGo(workload);
    this.context.roster.change(workload, {
      state: "running",
      step: "idle",
      boundary: sandbox.identity,
      startedAt: formatInstant(this.context.clock.nowNs()),
      exit: undefined,
      error: undefined,
      stoppedByHand: false,
    });
    workload.attachments.confirm(sandbox);
    this.tell(workload, "started");
    this.follow(workload, sandbox);
  }

  /** Its caller is still there: then it was given up for somebody else's sake. */
  private whyNotStarted(workload: Workload, failure: Failure, signal: AbortSignal): Failure {
    if (failure.code !== "CANCELLED" || signal.aborted) return failure;
    return this.closed ? new Failure("UNAVAILABLE", "the daemon is stopping", { workload: workload.id, remedy: "Ask again once it runs." }) : removed(workload);
  }

  private async startFailed(workload: Workload, sandbox: Sandbox | undefined, failure: Failure): Promise<void> {
    if (sandbox !== undefined) await this.raising.discard(workload).catch(() => {});
    if (failure.code === "CANCELLED") return;
    const code = failure.code === "COMMAND_NOT_FOUND" ? 127 : failure.code === "COMMAND_NOT_EXECUTABLE" ? 126 : 128;
    const status: ExitStatus = { code, outOfMemory: false, at: formatInstant(this.context.clock.nowNs()) };
    const { record } = workload;
    workload.attachments.abandon();
    this.context.roster.change(workload, {
      exit: status,
      error: failure.message,
      state: record.request.autoRemove ? "removing" : record.state === "restarting" ? "exited" : record.state,
      network: undefined,
    });
    this.context.networks.leave(workload.id);
    if (record.request.autoRemove) this.removal.removeEnded(workload);
    else workload.waits.ended({ status, error: failure.message });
  }

  private ended(workload: Workload, sandbox: Sandbox, reason: EndReason): void {
    const run = workload.run;
    if (run?.sandbox !== sandbox) return;
    try {
      this.finishRun(workload, reason);
    } catch (thrown) {
      this.context.log.error({ workload: workload.id, failure: toFailure(thrown).toJSON() }, "the end of a workload could not be written down");
      // A full disk, most likely. Nobody is told of an end that the store does not know: it is tried until it is written.
      if (workload.isUp) return void this.context.clock.after(WRITE_AGAIN_MS, () => this.ended(workload, sandbox, reason));
    }
    workload.run = undefined;
    run.finish();
  }

  private tell(workload: Workload, name: string, attributes: Readonly<Record<string, string>> = {}): void {
    announceWorkload(this.context, workload, name, attributes);
  }
}

function removed({ id }: Workload): Failure {
  return new Failure("WRONG_STATE", "container is marked for removal and cannot be started", { workload: id, remedy: "Create another." });
}

function endedFields(status: ExitStatus, error: string | undefined): Partial<WorkloadRecord> {
  return { step: "idle", exit: status, finishedAt: status.at, error };
}
