/** Who waits for a workload to stop, to end next, or to be gone. Registration is synchronous: wait, then start, misses nothing. */

import { Failure } from "../contract/failure.ts";
import type { ExitStatus } from "../contract/process.ts";
import type { WaitCondition } from "./index.ts";

export interface WaitResult {
  readonly status: ExitStatus;
  readonly error?: string;
}

interface Waiter {
  readonly condition: WaitCondition;
  readonly resolve: (result: WaitResult) => void;
}

export class Waits {
  private readonly waiters = new Set<Waiter>();

  register(condition: WaitCondition, signal: AbortSignal): Promise<WaitResult> {
    const { promise, resolve, reject } = Promise.withResolvers<WaitResult>();
    const waiter: Waiter = { condition, resolve };
    this.waiters.add(waiter);
    const cancel = () => {
      this.waiters.delete(waiter);
      reject(new Failure("CANCELLED", "the wait was cancelled"));
    };
    if (signal.aborted) cancel();
    else {
      signal.addEventListener("abort", cancel, { once: true });
      void promise.then(
        () => signal.removeEventListener("abort", cancel),
        () => {},
      );
    }
    return promise;
  }

  /** The main process ended, or could not be started. */
  ended(result: WaitResult): void {
    this.settle(result, (condition) => condition !== "removed");
  }

  /** Name, ports and address are free again. */
  removed(result: WaitResult): void {
    this.settle(result, () => true);
  }

  private settle(result: WaitResult, concerns: (condition: WaitCondition) => boolean): void {
    for (const waiter of this.waiters) {
      if (!concerns(waiter.condition)) continue;
      this.waiters.delete(waiter);
      waiter.resolve(result);
    }
  }
}
