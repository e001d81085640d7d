/** Order statistics and bootstrap intervals over raw samples. Pure; the seed makes the same samples give the same interval. */

export interface Summary {
  readonly n: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly minimum: number;
  readonly maximum: number;
  /** 95 % bootstrap interval of the median. */
  readonly interval: readonly [low: number, high: number];
}

/** The value at `share` (0 to 1) of the sorted samples, between neighbours by linear interpolation. NaN where there is none. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return Number.NaN;
  const position = share * (sorted.length - 1);
  const below = sorted[Math.floor(position)] as number;
  const above = sorted[Math.ceil(position)] as number;
  return below + (above - below) * (position - Math.floor(position));
}

export function median(samples: readonly number[]): number {
  return quantile(
    samples.toSorted((a, b) => a - b),
    0.5,
  );
}

/** A small deterministic generator (mulberry32), so that shuffles and intervals can be repeated. Gives numbers in [0, 1). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const shuffled = [...items];
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [shuffled[last], shuffled[other]] = [shuffled[other] as T, shuffled[last] as T];
  }
  return shuffled;
}

const RESAMPLES = 1000;

export function summarize(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  return {
    n: sorted.length,
    p50: quantile(sorted, 0.5),
    p95: quantile(sorted, 0.95),
    p99: quantile(sorted, 0.99),
    minimum: sorted[0] ?? Number.NaN,
    maximum: sorted.at(-1) ?? Number.NaN,
    interval: middleOf(resampleMedians(sorted, createRandom(samples.length * 7919 + 17))),
  };
}

export interface Difference {
  /** The left median minus the right one. */
  readonly value: number;
  /** 95 % bootstrap interval of it. */
  readonly interval: readonly [low: number, high: number];
}

/** How far two medians lie apart: both sides are resampled, each by itself. NaN where a side has no samples. */
export function differenceOfMedians(left: readonly number[], right: readonly number[]): Difference {
  const random = createRandom(left.length * 7919 + right.length * 104_729 + 17);
  const lefts = resampleMedians(left, random);
  const rights = resampleMedians(right, random);
  const apart = lefts.flatMap((value, index) => (rights[index] === undefined ? [] : [value - rights[index]]));
  return { value: median(left) - median(right), interval: middleOf(apart) };
}

/** Medians of as many draws with replacement, in the order drawn. */
function resampleMedians(samples: readonly number[], random: () => number): number[] {
  if (samples.length === 0) return [];
  const drawn = new Float64Array(samples.length);
  return Array.from({ length: RESAMPLES }, () => quantile(drawn.map(() => samples[Math.floor(random() * samples.length)] as number).sort(), 0.5));
}

/** The percentile method: what the middle 95 % lie between. */
function middleOf(drawn: readonly number[]): readonly [low: number, high: number] {
  const sorted = drawn.toSorted((a, b) => a - b);
  return [quantile(sorted, 0.025), quantile(sorted, 0.975)];
}
