/** Time as the engine sees it: one place, so that tests need no real clock. */

export interface Clock {
  /** Nanoseconds since the epoch; never the same twice. */
  nowNs(): bigint;
  /** Does `act` once after `ms`; gives back its cancellation. Never keeps the daemon alive by itself. */
  after(ms: number, act: () => void): () => void;
}

/** Longer delays overflow the timer and would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export function systemClock(): Clock {
  const epochNs = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
  let last = 0n;
  return {
    nowNs() {
      // The steady clock gives the digits below the millisecond; a step of the wall clock is followed at once.
      let now = epochNs + process.hrtime.bigint();
      const wall = BigInt(Date.now()) * 1_000_000n;
      if (now - wall > 2_000_000_000n || wall - now > 2_000_000_000n) now = wall;
      last = now > last || last - now > 2_000_000_000n ? now : last + 1n;
      return last;
    },
    after(ms, act) {
      const timer = setTimeout(act, Math.min(ms, LONGEST_TIMER_MS));
      timer.unref();
      return () => clearTimeout(timer);
    },
  };
}

/** RFC 3339 in UTC with nine digits. */
export function formatInstant(ns: bigint): string {
  const whole = new Date(Number(ns / 1_000_000n)).toISOString();
  return `${whole.slice(0, 19)}.${String(ns % 1_000_000_000n).padStart(9, "0")}Z`;
}

/** The reverse, for any number of digits; undefined for what is not an instant. */
export function parseInstant(text: string): bigint | undefined {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (parts === null) return undefined;
  const seconds = Date.parse(`${parts[1]}${parts[3]}`);
  if (Number.isNaN(seconds)) return undefined;
  return BigInt(seconds) * 1_000_000n + BigInt((parts[2] ?? "").padEnd(9, "0"));
}
