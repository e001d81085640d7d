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
export function quantile(sorted: readonly number[], share: number): number {
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
  const random = createRandom(samples.length * 7919 + 17);
  const medians: number[] = [];
  for (let round = 0; round < RESAMPLES && sorted.length > 0; round++) {
    const resample = Array.from(sorted, () => sorted[Math.floor(random() * sorted.length)] as number);
    medians.push(median(resample));
  }
  medians.sort((a, b) => a - b);
  return {
    n: sorted.length,
    p50: quantile(sorted, 0.5),
    p95: quantile(sorted, 0.95),
    p99: quantile(sorted, 0.99),
    minimum: sorted[0] ?? Number.NaN,
    maximum: sorted.at(-1) ?? Number.NaN,
    interval: [quantile(medians, 0.025), quantile(medians, 0.975)],
  };
}
