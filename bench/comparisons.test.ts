import { expect, it } from "vitest";
import { compareSubjects } from "./comparisons.ts";
import { comparisonNotes } from "./report/comparison-notes.ts";
import type { Series } from "./series.ts";
import { createRandom, summarize } from "./statistics.ts";

const random = createRandom(7);
const around = (middle: number, spread: number, n = 20): number[] => Array.from({ length: n }, () => middle + (random() - 0.5) * spread);
const series = (subject: string, samples: readonly number[], metric = "exec", unit: Series["unit"] = "s"): Series => ({
  metric,
  subject,
  unit,
  samples,
  summary: summarize(samples),
  command: "",
});
const subjects = ["container", "gvisor", "raw-crun"].map((id) => ({ id, engine: "", version: "", emulated: false }));
const verdictOf = (left: readonly number[], right: readonly number[]) => compareSubjects([series("container", left), series("gvisor", right)], subjects)[0];

it("tells apart what lies apart, and takes what is close for alike only where it was seen closely", () => {
  expect(verdictOf(around(1, 0.1), around(2, 0.1))).toMatchObject({ left: "container", right: "gvisor", n: [20, 20], verdict: "different" });
  const [steady, alsoSteady] = [around(1, 0.02), around(1, 0.02)];
  expect(verdictOf(steady, steady)).toMatchObject({ difference: 0, verdict: "alike" });
  expect(verdictOf(steady, alsoSteady)?.verdict).not.toBe("noisy");
});

it("says that the host is too noisy where a difference may hide in the noise", () => {
  const found = verdictOf(around(1, 1.5), around(1.05, 1.5));
  expect(found?.verdict).toBe("noisy");
  expect(comparisonNotes({ comparisons: [found as NonNullable<typeof found>] })[0]).toMatch(
    /too noisy for 1 of 1 differences .*: exec of true of container and gvisor \(-\d.* to \d.*, n 20 and 20\)/,
  );
});

it("says nothing by fewer than three samples, but that they are too few", () => {
  const found = verdictOf([1, 1], [9, 9, 9]);
  expect(found?.verdict).toBe("few");
  expect(comparisonNotes({ comparisons: [found as NonNullable<typeof found>] })).toEqual(["Too few samples to tell boundaries apart by: exec of true."]);
});

it("sees figures of no spread for what they are: the same, or not", () => {
  expect(verdictOf([4096, 4096, 4096], [4096, 4096, 4096])?.verdict).toBe("alike");
  expect(verdictOf([4096, 4096, 4096], [8192, 8192, 8192])?.verdict).toBe("different");
});

it("compares what runs behind boundaries, not the controls, and measured figures, not derived ones", () => {
  const all = [
    series("container", around(1, 0.1)),
    series("raw-crun", around(1, 0.1)),
    series("gvisor", around(1, 0.1), "cpu_overhead", "%"),
    series("container", around(1, 0.1), "cpu_overhead", "%"),
  ];
  expect(compareSubjects(all, subjects)).toEqual([]);
  expect(comparisonNotes({})).toEqual([]);
});
