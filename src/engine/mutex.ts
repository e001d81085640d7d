/** One operation after another, for one workload. Different workloads never wait for each other. */

import { Failure } from "../contract/failure.ts";

export class Mutex {
  private tail: Promise<unknown> = Promise.resolve();

  /** Runs `work` when all that was asked before is over. Aborting before its turn rejects CANCELLED, and it never runs. */
  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const turn = this.tail.then(() => {
      if (signal?.aborted) throw new Failure("CANCELLED", "the operation was cancelled before its turn");
      return work();
    });
    this.tail = turn.catch(() => {});
    return turn;
  }
}
