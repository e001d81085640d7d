import { expect, it } from "vitest";
import type { Series } from "../series.ts";
import { summarize } from "../statistics.ts";
import { findChanges, readEarlier, renderChanges } from "./against.ts";
import type { CompareDocument } from "./document.ts";

const HOST = { kernel: "6.1", architecture: "x64", processor: "x", processors: 2, memoryBytes: 1, guestOf: "none", distribution: "d" };

function series(metric: string, samples: readonly number[]): Series {
  return { metric, subject: "container", unit: "s", samples, summary: summarize(samples), command: "c" };
}
function document(all: readonly Series[], kernel = "6.1"): CompareDocument {
  const subjects = [{ id: "container", engine: "crun", version: kernel, emulated: false }];
  const base = {
    schemaVersion: 1,
    measuredAt: "2026-01-01T00:00:00Z",
    bulkhead: "",
    command: "",
    image: "busybox",
    workload: ["echo"],
    seed: 1,
    complete: true,
    gaps: [],
    claims: [],
  } as const;
  return { ...base, host: { ...HOST, kernel }, subjects, series: all };
}
const around = (middle: number) => Array.from({ length: 30 }, (_, index) => middle + ((index * 7) % 11) / 100);

it("tells a change from noise", () => {
  const before = document([series("exec", around(1)), series("start", around(2))]);
  const after = document([series("exec", around(1.01)), series("start", around(3))]);
  expect(findChanges(before, after).map(({ metric, isBeyondNoise }) => [metric, isBeyondNoise])).toEqual([
    ["exec", false],
    ["start", true],
  ]);
  expect(renderChanges(before, after)).toMatch(/1 of 2 figures changed beyond noise/);
  expect(renderChanges(before, after)).toMatch(/start\W+container\W.*× 1\.4/);
});

it("is no change where nothing was measured before, or too little", () => {
  expect(findChanges(document([series("exec", [1, 1])]), document([series("exec", [9, 9]), series("start", [1, 1, 1])]))).toEqual([]);
});

it("says what makes two runs hard to compare", () => {
  expect(renderChanges(document([], "5.10"), document([]))).toMatch(/Another host or kernel[\s\S]*container was 5.10 and is 6.1/);
});

it("refuses what compare has not written", () => {
  expect(() => readEarlier("{", "x.json")).toThrow(/x.json is not JSON/);
  expect(() => readEarlier("{}", "x.json")).toThrow(/was not written by/);
});
