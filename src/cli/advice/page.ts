/** The advice as a page for people. */

import type { AdviceDocument } from "../../../sdk/src/index.ts";
import { showBytes } from "../format/quantity.ts";
import { clean, colour } from "../output.ts";

export function renderAdvice(advice: AdviceDocument): string {
  const { recommendation } = advice;
  const head =
    recommendation === null
      ? colour("Nothing here can meet this.", "red")
      : `${colour(recommendation.nesting.join(" › "), "bold")}${recommendation.engine === "" ? "" : ` (${clean(recommendation.engine)})`}   confidence: ${advice.confidence}`;
  return `${[
    head,
    ...(recommendation === null ? [] : [clean(advice.reason)]),
    ...section("Layer by layer, from below", layers(advice)),
    ...section("Next best", advice.runnerUp === null ? [] : [`${advice.runnerUp.boundary}: it would win if ${advice.runnerUp.wouldWinIf}`]),
    ...section("Ruled out", ruledOut(advice)),
    ...section("Ranked (points, fewer is better)", ranking(advice)),
    ...section(
      "Do as well",
      advice.mitigations.map(({ text }) => clean(text)),
    ),
    ...section("Measured here, or taken from the textbooks", evidence(advice)),
    ...section("Seen in the image", stated(advice.assumptions.filter(isSeen))),
    ...section("Assumed, because nobody said", stated(advice.assumptions.filter((one) => !isSeen(one)))),
  ].join("\n")}\n`;
}

type Assumption = AdviceDocument["assumptions"][number];

function isSeen({ field }: Assumption): boolean {
  return field.startsWith("image.");
}

function stated(assumptions: readonly Assumption[]): string[] {
  return assumptions.map(({ field, value, text }) => (value === null ? `${field}: ${clean(text)}` : `${field} = ${clean(show(value))}: ${clean(text)}`));
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", colour(title, "bold"), ...lines.map((line) => `  ${line}`)];
}

function layers({ layers: known = [] }: AdviceDocument): string[] {
  const width = Math.max(0, ...known.map(({ layer }) => layer.length));
  return known.flatMap(({ layer, here, shared }) => [`${layer.padEnd(width)}  ${clean(here)}`, `${" ".repeat(width)}  ${colour(clean(shared), "grey")}`]);
}

/** One line for each boundary and reason, the rule and its source behind it. */
function ruledOut(advice: AdviceDocument): string[] {
  return advice.ruledOut.map(({ because, rule, source }) => `${clean(because)} ${colour(`[${rule}; ${clean(source)}]`, "grey")}`);
}

function ranking(advice: AdviceDocument): string[] {
  return advice.ranking.flatMap(({ boundary, score, terms }) => [
    `${boundary.padEnd(10)} ${score.toFixed(2)}`,
    ...terms.map((term) => `  ${term.points.toFixed(2)} ${term.weight}: ${clean(term.because)}`),
  ]);
}

function evidence(advice: AdviceDocument): string[] {
  return advice.evidence.map(({ boundary, metric, value, unit, measuredAt, command }) => {
    const figure = unit === "bytes" ? showBytes(value) : `${Number(value.toPrecision(3))} ${unit}`;
    return `${boundary} ${metric} ${figure} ${colour(measuredAt === null ? `textbook: ${clean(command)}` : `${measuredAt}: ${clean(command)}`, "grey")}`;
  });
}

function show(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
