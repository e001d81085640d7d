/**
 * Life after death: a new daemon finds the records of the one before, asks each driver what became of them, and writes it
 * down. What runs is adopted, what ended is recorded with its true exit, what was half-made is removed.
 */

import type { Call } from "../contract/call.ts";
import type { Adoption, Bundle } from "../contract/driver.ts";
import { toFailure } from "../contract/failure.ts";
import type { EndReason } from "../contract/sandbox.ts";
import { formatInstant } from "./clock.ts";
import { getDriver, ownCall, type Context } from "./context.ts";
import type { Execs } from "./execs.ts";
import type { Life } from "./life.ts";
import type { WorkloadRecord } from "./record.ts";
import type { Removal } from "./removal.ts";
import { wantsStartAtBoot } from "./restart-policy.ts";
import type { Workload } from "./workload.ts";

const ASK_AGAIN_MS = 2000;
/**
 * A machine tells of itself only once it has booted. One that was on its way when the daemon died keeps its turn and is undone, or gone
 * on with, when it does; everybody else's daemon is back by then.
 */
const LAUNCHING_PATIENCE_MS = 1000;
/** Adoptions under way at once. */
const PARALLEL = 16;

export class Recovery {
  private readonly context: Context;
  private readonly life: Life;
  private readonly removal: Removal;
  private readonly execs: Execs;

  constructor(context: Context, parts: { readonly life: Life; readonly removal: Removal; readonly execs: Execs }) {
    this.context = context;
    this.life = parts.life;
    this.removal = parts.removal;
    this.execs = parts.execs;
  }

  async recover(call: Call): Promise<void> {
    const records = this.context.roster.remembered();
    // All reservations first: what is recovered early must not be given what a later one holds.
    for (const record of records) this.hold(record);
    const queue = [...records];
    const work = async () => {
      for (let record = queue.shift(); record !== undefined; record = queue.shift()) await this.recoverOne(record, call);
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    this.dropExecsOfTheGone();
    await this.context.volumes.sweep((id) => this.context.roster.find(id) !== undefined, call);
  }

  private hold(record: WorkloadRecord): void {
    this.context.images.hold(record.imageId, record.id);
    for (const { volume } of record.mountViews) if (volume !== undefined) this.context.volumes.hold(volume, record.id);
    if (record.network !== undefined) this.context.networks.restore(record.id, record.network);
  }

  private async recoverOne(record: WorkloadRecord, call: Call): Promise<void> {
    if (record.state === "removing" || (record.request.autoRemove && record.state === "created" && record.step === "idle")) {
      return this.drop(record).catch((thrown: unknown) => this.failed(this.context.roster.show(record), thrown));
    }
    const workload = this.context.roster.show(record);
    const found = workload.mutex.run(() => this.findOut(workload, call)).catch((thrown: unknown) => this.failed(workload, thrown));
    const isUp = record.state === "running" || record.state === "paused";
    await (isUp || record.step !== "launching" ? found : this.within(found, LAUNCHING_PATIENCE_MS));
  }

  private failed(workload: Workload, thrown: unknown): void {
    const failure = toFailure(thrown);
    this.context.log.error({ workload: workload.id, failure: failure.toJSON() }, "a workload could not be recovered");
    this.context.roster.change(workload, { error: failure.message });
    this.askAgain(workload, failure.message);
  }

  private within(done: Promise<void>, ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.context.clock.after(ms, resolve);
    return Promise.race([promise, done]).finally(cancel);
  }

  private async findOut(workload: Workload, call: Call): Promise<void> {
    const { record } = workload;
    const adoption = record.bundle === undefined ? undefined : await this.ask(record, record.bundle, call);
    if (adoption !== undefined) await this.settle(workload, adoption, call);
    else this.release(workload);
    this.continue(workload);
  }

  /** What could not be found out is not guessed: it is asked for until there is an answer, or somebody removes the workload. */
  private askAgain(workload: Workload, told: string): void {
    const again = async () => {
      if (workload.run !== undefined || this.context.roster.find(workload.id) !== workload) return;
      await this.findOut(workload, ownCall(this.context));
      if (workload.record.error === told) this.context.roster.change(workload, { error: undefined });
    };
    this.context.clock.after(ASK_AGAIN_MS, () => void workload.mutex.run(again).catch(() => this.askAgain(workload, told)));
  }

  /** Undefined where the record knows the whole truth without asking. */
  private async ask(record: WorkloadRecord, bundle: Bundle, call: Call): Promise<Adoption | undefined> {
    const open = record.step === "launching" || record.state === "running" || record.state === "paused";
    return open ? getDriver(this.context, bundle.kind).adopt(bundle, call) : undefined;
  }

  private async settle(workload: Workload, adoption: Adoption, call: Call): Promise<void> {
    const { record } = workload;
    const wasUp = record.state === "running" || record.state === "paused";
    switch (adoption.state) {
      case "standing":
        if (adoption.main !== "held") return this.adopt(workload, adoption);
        // Nobody let it go: the launch was ahead of its start, and its start was never answered.
        await adoption.sandbox.end(call);
        return wasUp ? this.recordEnd(workload, this.lost("its main process was found held again")) : this.release(workload);
      case "ended":
        // A record of the launch before this one says nothing new.
        if (adoption.started && adoption.reason.status.at !== record.exit?.at) return this.recordEnd(workload, adoption.reason);
        return wasUp ? this.recordEnd(workload, adoption.reason) : this.release(workload);
      case "not-launched":
        return wasUp ? this.recordEnd(workload, this.lost("nothing of it was found after the daemon's restart")) : this.release(workload);
    }
  }

  private adopt(workload: Workload, adoption: Extract<Adoption, { state: "standing" }>): void {
    const { sandbox, main } = adoption;
    this.context.roster.change(workload, {
      ...this.startedFields(workload.record),
      state: main === "paused" ? "paused" : "running",
      step: "idle",
    });
    this.life.follow(workload, sandbox);
    this.execs.recover(workload, sandbox);
  }

  private recordEnd(workload: Workload, reason: EndReason): void {
    this.context.roster.change(workload, this.startedFields(workload.record));
    this.life.finishRun(workload, reason);
  }

  /** The daemon died between letting go and writing it down. */
  private startedFields(record: WorkloadRecord): Partial<WorkloadRecord> {
    if (record.state === "running" || record.state === "paused") return {};
    return { state: "running", startedAt: formatInstant(this.context.clock.nowNs()), exit: undefined, error: undefined, stoppedByHand: false };
  }

  /** Nothing stands, nothing is reserved. */
  private release(workload: Workload): void {
    const { record } = workload;
    if (record.state === "restarting") return;
    this.context.networks.leave(workload.id);
    if (record.step !== "idle" || record.network !== undefined) this.context.roster.change(workload, { step: "idle", network: undefined });
  }

  /** What its policy says about a daemon that has just come up. */
  private continue(workload: Workload): void {
    const { record } = workload;
    if (record.request.autoRemove && (record.state === "exited" || record.state === "created")) {
      this.context.roster.change(workload, { state: "removing" });
      return this.removal.removeEnded(workload);
    }
    const run = { ...record, exitCode: record.exit?.code ?? 0 };
    const again = record.state === "restarting" || (record.state === "exited" && wantsStartAtBoot(record.request.restart, run));
    if (!again || workload.cancelRestart !== undefined) return;
    this.context.roster.change(workload, { state: "restarting", step: "idle" });
    this.life.scheduleRestart(workload);
  }

  private async drop(record: WorkloadRecord): Promise<void> {
    this.context.networks.leave(record.id);
    this.context.images.release(record.id);
    await this.removal.finishRemoval(record);
  }

  private dropExecsOfTheGone(): void {
    const { execRecords, roster } = this.context;
    const gone = Array.from(execRecords.all()).filter(([, { workload }]) => roster.find(workload)?.run === undefined);
    for (const [id] of gone) execRecords.delete(id);
  }

  private lost(what: string): EndReason {
    const at = formatInstant(this.context.clock.nowNs());
    return { kind: "boundary-lost", status: { code: 137, signal: "SIGKILL", outOfMemory: false, at }, what };
  }
}
