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
  /** Measuring ends after the round in which this time is over. */
  readonly budgetMs: number;
  /** A round before the first, whose figures are dropped. */
  readonly warmUp: boolean;
  readonly onProgress: (done: number, all: number, name: string) => void;
}

export interface RunResult {
  readonly series: readonly Series[];
  readonly gaps: readonly Gap[];
  /** False where the signal or the budget ended it early: what was measured is kept. */
  readonly complete: boolean;
}

export async function runMeasures(measures: readonly Measure[], options: RunOptions): Promise<RunResult> {
  const random = createRandom(options.seed);
  const collected = new Map<string, { first: Sample; subject: string; values: number[] }>();
  const gaps: Gap[] = [];
  const failed = new Set<Measure>();
  const rounds = Math.max(0, ...measures.map((measure) => measure.rounds));
  const all = measures.reduce((sum, measure) => sum + measure.rounds, 0);
  const deadline = performance.now() + options.budgetMs;
  let done = 0;
  let complete = true;

  // Round -1 warms up: caches, pools and translated code.
  for (let round = options.warmUp ? -1 : 0; round < rounds && complete; round++) {
    const due = measures.filter((measure) => round < measure.rounds && !failed.has(measure));
    for (const measure of shuffle(due, random)) {
      if (options.signal.aborted || (round > 0 && performance.now() > deadline)) {
        complete = false;
        break;
      }
      options.onProgress(done, all, `${measure.subject} ${measure.name}`);
      await sleep(options.pauseMs);
      try {
        const samples = await measure.sample();
        if (round >= 0) for (const sample of samples) add(collected, measure.subject, sample);
      } catch (thrown) {
        failed.add(measure);
        gaps.push({ subject: measure.subject, metric: measure.name, because: reasonOf(thrown) });
      }
      if (round >= 0) done += 1;
    }
  }
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

function add(collected: Map<string, { first: Sample; subject: string; values: number[] }>, subject: string, sample: Sample): void {
  const key = `${subject}\0${sample.metric}`;
  const entry = collected.get(key);
  if (entry === undefined) collected.set(key, { first: sample, subject, values: [sample.value] });
  else entry.values.push(sample.value);
}
