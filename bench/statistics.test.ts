import { expect, test } from "vitest";
import { createRandom, differenceOfMedians, median, quantile, shuffle, summarize } from "./statistics.ts";

test("quantiles interpolate between neighbours", () => {
  expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
  expect(quantile([1, 2, 3, 4, 5], 0.95)).toBeCloseTo(4.8);
  expect(quantile([7], 0.99)).toBe(7);
  expect(quantile([], 0.5)).toBeNaN();
});

test("the median does not depend on the order of samples", () => {
  expect(median([9, 1, 5])).toBe(5);
});

test("the interval holds the median, narrows with more samples, and repeats", () => {
  const random = createRandom(3);
  const few = Array.from({ length: 10 }, () => 10 + random());
  const many = Array.from({ length: 400 }, () => 10 + random());
  const narrow = summarize(many);
  const wide = summarize(few);
  expect(narrow.interval[0]).toBeLessThanOrEqual(narrow.p50);
  expect(narrow.interval[1]).toBeGreaterThanOrEqual(narrow.p50);
  expect(narrow.interval[1] - narrow.interval[0]).toBeLessThan(wide.interval[1] - wide.interval[0]);
  expect(summarize(many)).toEqual(narrow);
});

test("a shuffle keeps every item and depends on the seed alone", () => {
  const items = Array.from({ length: 50 }, (_, index) => index);
  const once = shuffle(items, createRandom(1));
  expect(once.toSorted((a, b) => a - b)).toEqual(items);
  expect(once).not.toEqual(items);
  expect(shuffle(items, createRandom(1))).toEqual(once);
  expect(shuffle(items, createRandom(2))).not.toEqual(once);
});

test("the difference of medians has an interval that holds it, repeats, and tells two middles apart where they lie apart", () => {
  const random = createRandom(5);
  const around = (middle: number): number[] => Array.from({ length: 30 }, () => middle + random());
  const [low, high] = [around(10), around(12)];
  const apart = differenceOfMedians(high, low);
  expect(apart.value).toBeCloseTo(median(high) - median(low));
  expect(apart.interval[0]).toBeGreaterThan(1);
  expect(apart.interval[1]).toBeLessThan(3);
  expect(differenceOfMedians(high, low)).toEqual(apart);
  const same = differenceOfMedians(around(10), around(10));
  expect(same.interval[0]).toBeLessThan(0);
  expect(same.interval[1]).toBeGreaterThan(0);
  expect(differenceOfMedians([], low).interval[0]).toBeNaN();
});

test("the interval of a difference misses the truth about as often as it says", () => {
  const random = createRandom(11);
  const draw = (): number[] => Array.from({ length: 25 }, () => random() + random());
  const held = Array.from({ length: 50 }, () => differenceOfMedians(draw(), draw()).interval).filter(([low, high]) => low <= 0 && high >= 0).length;
  expect(held / 50).toBeGreaterThan(0.9);
});
