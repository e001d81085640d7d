import { expect, test } from "vitest";
import { type Measure, runMeasures } from "./runner.ts";

const options = { seed: 1, pauseMs: 0, signal: new AbortController().signal, budgetMs: 60_000, warmUp: true, onProgress: () => {} };

function counting(subject: string, rounds: number, order: string[]): Measure {
  let count = 0;
  return {
    subject,
    name: "start",
    rounds,
    sample: () => {
      order.push(subject);
      count += 1;
      return Promise.resolve([{ metric: "startup", value: count, unit: "s" as const, command: "x" }]);
    },
  };
}

test("every subject gets its rounds after one warm-up that is dropped, interleaved", async () => {
  const order: string[] = [];
  const result = await runMeasures([counting("a", 3, order), counting("b", 3, order)], options);
  expect(result.series.find((one) => one.subject === "a")?.samples).toEqual([2, 3, 4]);
  for (let round = 0; round < 4; round++) expect(order.slice(round * 2, round * 2 + 2).toSorted()).toEqual(["a", "b"]);
});

test("a measure that fails becomes a gap with the reason, and the others go on", async () => {
  const broken: Measure = { subject: "c", name: "start", rounds: 3, sample: () => Promise.reject(new Error("no such boundary")) };
  const result = await runMeasures([broken, counting("a", 2, [])], options);
  expect(result.gaps).toEqual([{ subject: "c", metric: "start", because: "no such boundary" }]);
  expect(result.series.map((one) => one.subject)).toEqual(["a"]);
});

test("what was measured before an interruption is kept", async () => {
  const controller = new AbortController();
  const order: string[] = [];
  const measure = counting("a", 10, order);
  const interrupting: Measure = {
    ...measure,
    sample: async () => {
      const sample = await measure.sample();
      if (order.length === 4) controller.abort();
      return sample;
    },
  };
  const result = await runMeasures([interrupting], { ...options, signal: controller.signal });
  expect(result.complete).toBe(false);
  expect(result.series[0]?.samples).toEqual([2, 3, 4]);
});

test("a host too slow for the time ends in twice the time, and what was only warmed up or not reached says so", async () => {
  let clock = 0;
  const slow = (subject: string, name: string): Measure => ({
    subject,
    name,
    rounds: 6,
    sample: () => {
      clock += 40;
      return Promise.resolve([{ metric: name, value: 1, unit: "s" as const, command: "x" }]);
    },
  });
  const measures = ["a", "b", "c"].flatMap((subject) => [slow(subject, "exec"), slow(subject, "start")]);
  const told: string[] = [];
  const telling = {
    now: () => clock,
    onFirst: (_subject: string, [first]: readonly { metric: string }[]) => told.push(first?.metric ?? ""),
    onWarm: () => told.push("warm"),
  };
  // Three of six are warmed up.
  const cut = await runMeasures(measures, { ...options, ...telling, budgetMs: 50 });
  expect(told).toEqual(["start", "start", "start"]);
  expect(cut.complete).toBe(false);
  expect(cut.series.map(({ metric, summary }) => [metric, summary.n])).toEqual([
    ["start", 1],
    ["start", 1],
    ["start", 1],
  ]);
  expect(cut.gaps.map(({ metric, because }) => `${metric}: ${because}`).toSorted()).toEqual([
    ...Array.from({ length: 3 }, () => "exec: the time was over before its turn"),
    ...Array.from({ length: 3 }, () => "start: the time was over, and the figure shown is its warm-up's"),
  ]);
  // The warm-up and one round of six.
  const once = await runMeasures(measures, { ...options, ...telling, budgetMs: 300 });
  expect(once.series.map(({ summary }) => summary.n)).toEqual([1, 1, 1, 1, 1, 1]);
  expect([once.complete, once.gaps]).toEqual([false, []]);
});

test("starts are warmed up first, and the length of a round is told before the rounds", async () => {
  const order: string[] = [];
  const named = (name: string): Measure => ({ ...counting(name, 2, order), name });
  const warm: number[] = [];
  await runMeasures([named("exec"), named("memory"), named("start")], { ...options, onWarm: (_roundMs, rounds) => warm.push(order.length, rounds) });
  expect(order[0]).toBe("start");
  expect(warm).toEqual([3, 2]);
});

test("what needs no warming up is not taken before the first round", async () => {
  const order: string[] = [];
  const cold: Measure = { ...counting("cold", 2, order), needsWarmUp: false };
  const result = await runMeasures([cold, counting("warm", 2, order)], options);
  expect(order[0]).toBe("warm");
  expect(result.series.find(({ subject }) => subject === "cold")?.samples).toEqual([1, 2]);
});
