import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { summarize } from "../../statistics.ts";
import type { CompareDocument } from "../document.ts";
import { renderPage } from "./page.ts";
import { scaleOf } from "./scale.ts";

const recorded = JSON.parse(readFileSync(join(import.meta.dirname, "../recorded/compare-container.json"), "utf8")) as CompareDocument;

it("needs nothing from elsewhere and runs nothing", () => {
  const page = renderPage(recorded);
  expect(page).not.toMatch(/<script|<link|<img|src=|@import|url\(|https?:/);
  expect(page).toContain(recorded.command);
});

it("shows every sample as a dot, and every gap and figure as a row", () => {
  const samples = [1, 2, 3, 4, 50].map((value) => value / 1000);
  const series = [{ metric: "exec", subject: "container", unit: "s" as const, samples, summary: summarize(samples), command: "repeat-me" }];
  const page = renderPage({ ...recorded, series, gaps: [{ subject: "gvisor", metric: "exec", because: "it is not here" }] });
  expect(page.match(/<circle/g)).toHaveLength(5);
  expect(page).toContain("<h2>exec of true</h2>");
  expect(page).toContain("repeat-me");
  expect(page).toContain("not measured: it is not here");
});

it("takes words from outside for words", () => {
  expect(renderPage({ ...recorded, image: "<b>x</b>", workload: ["</title><script>"] })).not.toMatch(/<b>|<script>/);
});

it("says that a machine is emulated", () => {
  const [subject] = recorded.subjects;
  expect(renderPage({ ...recorded, subjects: [{ ...(subject as (typeof recorded.subjects)[number]), emulated: true }] })).toContain("no security boundary");
});

it("has a scale that keeps order and stays within its ends", () => {
  for (const values of [
    [1, 2, 3],
    [0.001, 50],
    [0, 5],
    [7, 7],
  ]) {
    const scale = scaleOf(values, 100, 500);
    const at = (value: number) => scale.at(value);
    for (const value of values) expect(at(value)).toSatisfy((place: number) => place >= 99.9 && place <= 500.1);
    expect(scale.ticks.length).toBeGreaterThan(0);
    expect(scale.ticks.map(at)).toEqual(scale.ticks.map(at).toSorted((a, b) => a - b));
  }
});
