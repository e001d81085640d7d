/** Time that passes only when a test says so. */

import type { Clock } from "../clock.ts";

export class ManualClock implements Clock {
  private now = 1_800_000_000_000_000_000n;
  private readonly timers = new Set<{ readonly atNs: bigint; readonly act: () => void }>();

  nowNs(): bigint {
    return (this.now += 1n);
  }

  readonly after = (ms: number, act: () => void): (() => void) => {
    const timer = { atNs: this.now + BigInt(Math.round(ms * 1e6)), act };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  };

  /** Lets `ms` pass, timer by timer, with all that follows from each. */
  async pass(ms: number): Promise<void> {
    const end = this.now + BigInt(Math.round(ms * 1e6));
    await settle();
    for (;;) {
      const [next] = [...this.timers].filter(({ atNs }) => atNs <= end).sort((a, b) => Number(a.atNs - b.atNs));
      if (next === undefined) break;
      this.timers.delete(next);
      if (next.atNs > this.now) this.now = next.atNs;
      next.act();
      await settle();
    }
    if (end > this.now) this.now = end;
    await settle();
  }

  get pending(): number {
    return this.timers.size;
  }
}

/** Lets everything that is ready run. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await new Promise((resolve) => setImmediate(resolve));
}
