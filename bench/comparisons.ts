/**
 * Which boundaries this run can tell apart, measure by measure. Three answers, because two intervals that overlap may mean two things:
 * that both are alike, or that the host was too noisy to see a difference which may well be there.
 */

import type { Series, SubjectDescription } from "./series.ts";
import { differenceOfMedians } from "./statistics.ts";

export interface Comparison {
  readonly metric: string;
  readonly left: string;
  readonly right: string;
  readonly unit: Series["unit"];
  /** Samples of the left and of the right. */
  readonly n: readonly [left: number, right: number];
  /** The left median minus the right one. */
  readonly difference: number;
  /** 95 % bootstrap interval of the difference. */
  readonly interval: readonly [low: number, high: number];
  /**
   * `different`: the interval leaves 0 out. `alike`: the whole interval is less than 5 % of the smaller median. `noisy`: neither, so that a
   * difference worth knowing may be there and cannot be seen. `few`: a side has fewer than three samples, and nothing is said.
   */
  readonly verdict: "different" | "alike" | "noisy" | "few";
}

const LEAST_SAMPLES = 3;
/** Share of the smaller median below which nobody chooses by it. */
const ALIKE = 0.05;
/** Facts and shares: what follows from other figures, or was never sampled. */
const COMPARED: ReadonlySet<Series["unit"]> = new Set(["s", "ns", "bytes"]);
/** The image is the same behind all, and the start over the container's is the start again. */
const LEFT_OUT: ReadonlySet<string> = new Set(["image_size", "startup_over_container"]);

/** Each pair of what runs behind a boundary; raw mechanisms are controls, and nobody chooses between them. */
export function compareSubjects(series: readonly Series[], subjects: readonly SubjectDescription[]): readonly Comparison[] {
  const chosen = subjects.filter(({ id }) => !id.startsWith("raw-"));
  const metrics = [...new Set(series.filter(({ unit, metric }) => COMPARED.has(unit) && !LEFT_OUT.has(metric)).map(({ metric }) => metric))];
  return metrics.flatMap((metric) => {
    const measured = chosen.flatMap(({ id }) => series.find((one) => one.metric === metric && one.subject === id) ?? []);
    return measured.flatMap((left, index) => measured.slice(index + 1).map((right) => compareTwo(left, right)));
  });
}

function compareTwo(left: Series, right: Series): Comparison {
  const { value, interval } = differenceOfMedians(left.samples, right.samples);
  const { metric, unit } = left;
  const n = [left.samples.length, right.samples.length] as const;
  const least = ALIKE * Math.min(Math.abs(left.summary.p50), Math.abs(right.summary.p50));
  return { metric, left: left.subject, right: right.subject, unit, n, difference: value, interval, verdict: judgeDifference(n, interval, least) };
}

function judgeDifference(n: Comparison["n"], [low, high]: Comparison["interval"], alike: number): Comparison["verdict"] {
  if (Math.min(...n) < LEAST_SAMPLES) return "few";
  if (low > 0 || high < 0) return "different";
  return Math.max(-low, high) <= alike ? "alike" : "noisy";
}
