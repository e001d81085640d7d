/** Changing a workload that exists: its name, its limits, its restart policy. */

import type { Call } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { LimitsSpec } from "../contract/spec.ts";
import { announceWorkload } from "./announcement.ts";
import { checkCapacity } from "./capacity.ts";
import type { Context } from "./context.ts";
import type { RestartPolicy } from "./index.ts";
import { askRunning } from "./meanwhile.ts";
import { checkName } from "./names.ts";
import type { Raising } from "./raising.ts";
import { checkLimits } from "./validation.ts";
import type { Workload } from "./workload.ts";

export class Changes {
  private readonly context: Context;
  private readonly raising: Raising;

  constructor(context: Context, raising: Raising) {
    this.context = context;
    this.raising = raising;
  }

  rename(workload: Workload, asked: string, call: Call): Promise<void> {
    return workload.mutex.run(async () => {
      const name = checkName(asked);
      const old = workload.record.name;
      if (name === old) throw new Failure("INVALID_SPEC", "Renaming a container with the same name as its current name", { workload: workload.id });
      this.checkAlive(workload);
      this.context.roster.rename(workload, name);
      announceWorkload(this.context, workload, "renamed", { oldName: `/${old}` });
    }, call.signal);
  }

  update(
    workload: Workload,
    change: { readonly limits?: LimitsSpec; readonly restart?: RestartPolicy },
    call: Call,
  ): Promise<{ readonly warnings: readonly string[] }> {
    return workload.mutex.run(async () => {
      this.checkAlive(workload);
      const { request } = workload.record;
      if (request.autoRemove && change.restart !== undefined && change.restart.name !== "no")
        throw new Failure("INVALID_SPEC", "Restart policy cannot be updated because AutoRemove is enabled for the container", { workload: workload.id });
      const limits = { ...request.limits, ...change.limits };
      checkLimits(limits);
      checkCapacity(limits, this.context.capacity);
      // A sandbox launched ahead has the old limits: it is not what was asked for any more.
      await this.raising.discard(workload);
      // Written before it is applied: a crash in between leaves limits that the next start applies, never ones that nobody remembers.
      this.context.roster.change(workload, { request: { ...request, limits, ...(change.restart === undefined ? {} : { restart: change.restart }) } });
      try {
        if (change.limits !== undefined && workload.run !== undefined) await this.resize(workload, change.limits, call);
      } catch (thrown) {
        this.context.roster.change(workload, { request });
        throw thrown;
      }
      announceWorkload(this.context, workload, "updated");
      return { warnings: [] };
    }, call.signal);
  }

  private async resize(workload: Workload, limits: LimitsSpec, call: Call): Promise<void> {
    const sandbox = workload.run?.sandbox;
    if (sandbox === undefined || Object.keys(limits).length === 0) return;
    const { resize } = sandbox;
    if (resize !== undefined) return askRunning(this.context, workload, () => resize.update(limits, call));
    const { kind } = sandbox.identity;
    throw new Failure("UNSUPPORTED", `${kind} cannot change limits while a workload runs`, {
      workload: workload.id,
      boundary: kind,
      remedy: "Stop it, update it, start it.",
    });
  }

  private checkAlive(workload: Workload): void {
    const { state, id } = workload.record;
    if (state === "removing" || state === "dead") throw new Failure("WRONG_STATE", `Container ${id} is marked for removal`, { workload: id });
  }
}
