/**
 * Removal: the intent is written, what stands is ended, every trace goes, and then the record. Name, address and ports are
 * free before anyone who waits for it is answered; for a workload that removes itself that is before its files are gone.
 */

import type { Call } from "../contract/call.ts";
import type { BundlePlace } from "../contract/driver.ts";
import { Failure, toFailure } from "../contract/failure.ts";
import { announceWorkload } from "./announcement.ts";
import { getDriver, ownCall, workloadDirectory, type Context } from "./context.ts";
import type { Execs } from "./execs.ts";
import type { Raising } from "./raising.ts";
import type { WorkloadRecord } from "./record.ts";
import type { Workload } from "./workload.ts";
import { removedUnderCopy } from "./workload-files.ts";

const TRY_AGAIN_MS = 5000;

export class Removal {
  private readonly context: Context;
  private readonly raising: Raising;
  private readonly execs: Execs;
  private readonly background = new Set<Promise<void>>();

  constructor(context: Context, raising: Raising, execs: Execs) {
    this.context = context;
    this.raising = raising;
    this.execs = execs;
  }

  remove(workload: Workload, options: { readonly force: boolean; readonly volumes: boolean }, call: Call): Promise<void> {
    // A start that is on its way need not come to its end first.
    if (options.force) {
      workload.raise?.abort.abort();
      for (const copy of workload.copies) copy.abort(removedUnderCopy(workload));
    }
    return workload.mutex.run(async () => {
      const { context } = this;
      const { state, id, name } = workload.record;
      if (context.roster.find(id) !== workload) throw new Failure("NOT_FOUND", `No such container: ${id}`, { workload: id });
      if ((workload.isUp || state === "restarting") && !options.force)
        throw new Failure("WRONG_STATE", `cannot remove container "/${name}": container is ${state}: stop the container before removing or force remove`, {
          workload: id,
          remedy: "Stop it first, or remove it by force.",
        });
      context.roster.change(workload, { state: "removing", removesVolumes: options.volumes });
      workload.cancelRestart?.();
      await this.clear(workload);
      this.letGo(workload);
      await this.dropRecord(workload.record);
    }, call.signal);
  }

  /** For one whose run is over and whose record says `removing`: frees what others may want, answers, and cleans up behind. */
  removeEnded(workload: Workload): void {
    this.letGo(workload);
    this.cleanBehind(workload);
  }

  /** Nobody sees the workload any more, so nobody else would try again: what stands in the way now may be gone later. */
  private cleanBehind(workload: Workload): void {
    // In its turn: the start or stop that led here has not come to its end yet.
    const cleaning = workload.mutex
      .run(async () => {
        // Who waits is answered first; taking files away can wait for that.
        await new Promise((resolve) => setImmediate(resolve));
        await this.cleanPlace(workload.record);
        await this.dropRecord(workload.record);
      })
      .catch((thrown: unknown) => {
        this.context.log.error({ workload: workload.id, failure: toFailure(thrown).toJSON() }, "a workload could not be removed; it is tried again");
        this.context.clock.after(TRY_AGAIN_MS, () => this.cleanBehind(workload));
      });
    this.background.add(cleaning);
    void cleaning.finally(() => this.background.delete(cleaning));
  }

  /** Goes on with a removal that a daemon before this one had begun. */
  async finishRemoval(record: WorkloadRecord): Promise<void> {
    await this.cleanPlace(record);
    await this.dropRecord(record);
  }

  /** Resolves when everything that was removing itself is gone. */
  async settle(): Promise<void> {
    await Promise.all(this.background);
  }

  private async clear(workload: Workload): Promise<void> {
    try {
      await this.raising.discard(workload);
      const run = workload.run;
      if (run !== undefined) {
        await run.sandbox.end(ownCall(this.context));
        await run.over;
      }
      await this.cleanPlace(workload.record);
    } catch (thrown) {
      const failure = toFailure(thrown);
      this.context.roster.change(workload, { state: "dead", error: failure.message });
      throw failure;
    }
  }

  /** Name, address, ports, image, volumes: free; who waits is answered. The record stands until every trace is gone. */
  private letGo(workload: Workload): void {
    const { context } = this;
    const { record } = workload;
    workload.stopHealth?.();
    workload.attachments.abandon();
    context.networks.leave(record.id);
    context.images.release(record.id);
    context.volumes.release(record.id);
    context.roster.hide(workload);
    this.execs.forget(workload);
    announceWorkload(context, workload, "removed");
    const status = record.exit ?? { code: 0, outOfMemory: false, at: record.createdAt };
    workload.waits.removed({ status, ...(record.error === undefined ? {} : { error: record.error }) });
  }

  private async cleanPlace(record: WorkloadRecord): Promise<void> {
    const { kind } = record.boundary;
    const place: BundlePlace = { kind, workload: record.id, directory: workloadDirectory(this.context, record.id) };
    await getDriver(this.context, kind).remove(place, ownCall(this.context));
  }

  /** The record goes last: until then a later daemon goes on where this one stopped. */
  private async dropRecord(record: WorkloadRecord): Promise<void> {
    this.context.volumes.release(record.id);
    if (record.removesVolumes === true || record.request.autoRemove) await this.removeAnonymous(record);
    else this.context.volumes.keep(record.id);
    this.context.roster.forget(record.id);
  }

  private async removeAnonymous(record: WorkloadRecord): Promise<void> {
    for (const { volume } of record.mountViews) {
      if (volume === undefined) continue;
      try {
        if (this.context.volumes.get(volume).anonymous) await this.context.volumes.remove(volume, ownCall(this.context));
      } catch (thrown) {
        // Another workload uses it by --volumes-from, or it is gone: both are fine.
        this.context.log.debug({ volume, failure: toFailure(thrown).toJSON() }, "an anonymous volume stays");
      }
    }
  }
}
