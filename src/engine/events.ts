/** The news: a bounded memory of what happened, and subscribers that cannot hold it up. */

import { Failure } from "../contract/failure.ts";
import type { Clock } from "./clock.ts";
import type { EngineEvent } from "./index.ts";

const HISTORY = 1024;
/** Events that a subscriber may be behind before it is dropped. */
const BACKLOG = 4096;

interface Subscriber {
  readonly queue: EngineEvent[];
  wake: () => void;
  overrun: boolean;
}

export class EventBus {
  private readonly clock: Clock;
  private readonly history: EngineEvent[] = [];
  private readonly subscribers = new Set<Subscriber>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  announce(event: Omit<EngineEvent, "atNs">): void {
    const told: EngineEvent = { ...event, atNs: this.clock.nowNs() };
    this.history.push(told);
    if (this.history.length > HISTORY) this.history.shift();
    for (const subscriber of this.subscribers) {
      if (subscriber.queue.length < BACKLOG) subscriber.queue.push(told);
      else subscriber.overrun = true;
      subscriber.wake();
    }
  }

  /** Subscribes at once, not at the first read. One too slow is told so by EXHAUSTED; an aborted one just ends. */
  subscribe(sinceNs: bigint | undefined, signal: AbortSignal): AsyncIterable<EngineEvent> {
    const past = sinceNs === undefined ? [] : this.history.filter(({ atNs }) => atNs >= sinceNs);
    const subscriber: Subscriber = { queue: [...past], wake: () => {}, overrun: false };
    this.subscribers.add(subscriber);
    const leave = () => {
      this.subscribers.delete(subscriber);
      subscriber.wake();
    };
    signal.addEventListener("abort", leave, { once: true });
    const read = (): AsyncGenerator<EngineEvent> => this.read(subscriber, signal, leave);
    return { [Symbol.asyncIterator]: read };
  }

  private async *read(subscriber: Subscriber, signal: AbortSignal, leave: () => void): AsyncGenerator<EngineEvent> {
    try {
      while (!signal.aborted) {
        const event = subscriber.queue.shift();
        if (event !== undefined) yield event;
        else if (subscriber.overrun)
          throw new Failure("EXHAUSTED", "this subscriber was too slow and missed events", { remedy: "Subscribe again with `since`." });
        else
          await new Promise<void>((resolve) => {
            subscriber.wake = resolve;
          });
      }
    } finally {
      signal.removeEventListener("abort", leave);
      leave();
    }
  }
}
