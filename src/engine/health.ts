/** Health checks: an exec every so often, and what its exits say. */

import { toFailure } from "../contract/failure.ts";
import type { ProcessSpec } from "../contract/process.ts";
import type { Sandbox } from "../contract/sandbox.ts";
import { announceWorkload } from "./announcement.ts";
import { ownCall, type Context } from "./context.ts";
import type { HealthCheck } from "./index.ts";
import type { Workload } from "./workload.ts";

export class HealthChecks {
  private readonly context: Context;

  constructor(context: Context) {
    this.context = context;
  }

  /** Begins to ask, where there is something to ask and a way to. */
  begin(workload: Workload, sandbox: Sandbox): void {
    const check = workload.record.healthCheck;
    if (check === undefined || sandbox.exec === undefined) return;
    const { clock } = this.context;
    const startedNs = clock.nowNs();
    const stopped = new AbortController();
    let failures = 0;
    let cancelTimer = () => {};
    workload.health = "starting";
    workload.stopHealth = () => {
      stopped.abort();
      cancelTimer();
      workload.stopHealth = undefined;
    };
    const ask = async (): Promise<void> => {
      const healthy = await this.ask(workload, sandbox, check, stopped.signal);
      if (stopped.signal.aborted) return;
      const grace = workload.health === "starting" && Number((clock.nowNs() - startedNs) / 1_000_000n) < check.startPeriodMs;
      failures = healthy ? 0 : grace ? failures : failures + 1;
      if (healthy) this.become(workload, "healthy");
      else if (failures >= check.retries) this.become(workload, "unhealthy");
      cancelTimer = clock.after(check.intervalMs, () => void ask());
    };
    cancelTimer = clock.after(check.intervalMs, () => void ask());
  }

  private become(workload: Workload, health: "healthy" | "unhealthy"): void {
    if (workload.health === health) return;
    workload.health = health;
    announceWorkload(this.context, workload, "health-changed", { health });
  }

  /** True where it exits with 0 in time. One that hangs is killed. */
  private async ask(workload: Workload, sandbox: Sandbox, check: HealthCheck, signal: AbortSignal): Promise<boolean> {
    const call = ownCall(this.context, signal);
    let cancel = () => {};
    try {
      const started = await sandbox.exec?.run(healthProcess(workload, check), { stdin: false, stdout: false, stderr: false }, call);
      if (started === undefined) return false;
      const late = new Promise<undefined>((resolve) => {
        cancel = this.context.clock.after(check.timeoutMs, () => resolve(undefined));
      });
      const status = await Promise.race([started.process.exited, late]);
      if (status === undefined) await started.process.signal("SIGKILL", call);
      return status?.code === 0;
    } catch (thrown) {
      this.context.log.debug({ workload: workload.id, failure: toFailure(thrown).toJSON() }, "a health check could not be run");
      return false;
    } finally {
      cancel();
    }
  }
}

/** `CMD-SHELL` is one line for the image's shell; `CMD` and anything else are words. */
function healthProcess(workload: Workload, check: HealthCheck): ProcessSpec {
  const [form, ...words] = check.test;
  const command = form === "CMD-SHELL" ? ["/bin/sh", "-c", words.join(" ")] : form === "CMD" ? words : check.test;
  return { ...workload.record.main, command, terminal: false, stdin: false, stdinOnce: true };
}
