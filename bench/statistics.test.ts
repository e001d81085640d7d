import { expect, test } from "vitest";
import { createRandom, median, quantile, shuffle, summarize } from "./statistics.ts";

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
