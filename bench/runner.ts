/**
 * Runs measures interleaved: each round takes every measure of every subject once, in a new shuffled order, after a pause. So that
 * noise of the host falls on all alike, and costs that back-to-back runs hide (RCU grace periods, cold caches) are paid by all.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Gap, Series } from "./series.ts";
import { createRandom, shuffle, summarize } from "./statistics.ts";
import { reasonOf } from "./reason.ts";

/** One thing to sample again and again. */
export interface Measure {
  readonly subject: string;
  /** For progress. */
  readonly name: string;
  /** Rounds that are wanted. */
  readonly rounds: number;
  /** False where a cold figure is as good as a warm one; it is not taken before the first round. */
  readonly needsWarmUp?: false;
  /** Takes one sample of one or more metrics. */
  sample(): Promise<readonly Sample[]>;
}

export interface Sample {
  readonly metric: string;
  readonly value: number;
  readonly unit: Series["unit"];
  readonly command: string;
}

export interface RunOptions {
  readonly seed: number;
  /** At least 70 ms: see docs/measuring.md. */
  readonly pauseMs: number;
  readonly signal: AbortSignal;
  /** Measuring ends with the sample under way when this time is over; the warm-up and one round may take twice as long. */
  readonly budgetMs: number;
  /** A round before the first, whose figures are dropped. */
  readonly warmUp: boolean;
  readonly onProgress: (done: number, all: number, name: string) => void;
  /** The first figures of a measure, long before its series. */
  readonly onFirst?: (subject: string, samples: readonly Sample[]) => void;
  /** How long the warm-up took: as long as a round will, and how many are wanted. */
  readonly onWarm?: (roundMs: number, rounds: number) => void;
  /** A clock that only goes forward; tests bring their own. */
  readonly now?: () => number;
}

export interface RunResult {
  readonly series: readonly Series[];
  readonly gaps: readonly Gap[];
  /** False where the signal or the budget ended it early: what was measured is kept. */
  readonly complete: boolean;
}

export async function runMeasures(measures: readonly Measure[], options: RunOptions): Promise<RunResult> {
  const random = createRandom(options.seed);
  const collected: Collected = new Map();
  const warm: Collected = new Map();
  const gaps: Gap[] = [];
  const failed = new Set<Measure>();
  const sampled = new Set<Measure>();
  const counted = new Set<Measure>();
  const rounds = Math.max(0, ...measures.map((measure) => measure.rounds));
  const all = measures.reduce((sum, measure) => sum + measure.rounds, 0);
  const now = options.now ?? (() => performance.now());
  const began = now();
  let done = 0;
  let complete = true;

  // Round -1 warms up: caches, pools and translated code. Its figures are dropped, unless time is over before there are others.
  for (let round = options.warmUp ? -1 : 0; round < rounds && complete; round++) {
    const due = measures.filter((measure) => round < measure.rounds && !failed.has(measure) && (round >= 0 || measure.needsWarmUp !== false));
    const inOrder = shuffle(due, random);
    for (const measure of sampled.size === 0 ? startsFirst(inOrder) : inOrder) {
      const elapsedMs = now() - began;
      if (options.signal.aborted || elapsedMs > (round > 0 ? 1 : 2) * options.budgetMs) {
        complete = false;
        break;
      }
      options.onProgress(done, all, `${measure.subject} ${measure.name}`);
      await sleep(options.pauseMs);
      try {
        const samples = await measure.sample();
        if (!sampled.has(measure)) options.onFirst?.(measure.subject, samples);
        sampled.add(measure);
        if (round >= 0) counted.add(measure);
        for (const sample of samples) add(round < 0 ? warm : collected, measure, sample);
      } catch (thrown) {
        failed.add(measure);
        gaps.push({ subject: measure.subject, metric: measure.name, because: reasonOf(thrown) });
      }
      if (round >= 0) done += 1;
    }
    if (round < 0 && complete) options.onWarm?.(now() - began, rounds);
  }
  if (!options.signal.aborted)
    gaps.push(
      ...takeWarm(
        collected,
        warm,
        measures.filter((measure) => !failed.has(measure) && !counted.has(measure)),
      ),
    );
  const series = [...collected.values()].map(({ first, subject, values }) => ({
    metric: first.metric,
    subject,
    unit: first.unit,
    samples: values,
    summary: summarize(values),
    command: first.command,
  }));
  return { series, gaps, complete };
}

type Collected = Map<string, { readonly first: Sample; readonly subject: string; readonly of: Measure; readonly values: number[] }>;

/** What people ask first comes first. */
function startsFirst(measures: readonly Measure[]): Measure[] {
  return [...measures.filter(({ name }) => name === "start"), ...measures.filter(({ name }) => name !== "start")];
}

/** For those whose time never came: a cold figure that says so is more than none. */
function takeWarm(collected: Collected, warm: Collected, late: readonly Measure[]): Gap[] {
  return late.map((measure) => {
    const own = [...warm].filter(([, { of }]) => of === measure);
    for (const [key, entry] of own) collected.set(key, entry);
    const because = own.length === 0 ? "the time was over before its turn" : "the time was over, and the figure shown is its warm-up's";
    return { subject: measure.subject, metric: measure.name, because };
  });
}

function add(into: Collected, measure: Measure, sample: Sample): void {
  const key = `${measure.subject}\0${sample.metric}`;
  const entry = into.get(key);
  if (entry === undefined) into.set(key, { first: sample, subject: measure.subject, of: measure, values: [sample.value] });
  else entry.values.push(sample.value);
}
