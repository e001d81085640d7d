/** What a reader may not conclude from the figures: which boundaries this run cannot tell apart, by which measure, and why. */

import type { Comparison } from "../comparisons.ts";
import type { CompareDocument } from "./document.ts";
import { formatFigure } from "./figure.ts";
import { TITLES } from "./titles.ts";

/** One sentence for each kind of answer that is no answer; none where every pair was told apart, or none was compared. */
export function comparisonNotes({ comparisons = [] }: Pick<CompareDocument, "comparisons">): string[] {
  const noisy = comparisons.filter(({ verdict }) => verdict === "noisy");
  const alike = comparisons.filter(({ verdict }) => verdict === "alike");
  const few = comparisons.filter(({ verdict }) => verdict === "few");
  return [
    ...(noisy.length === 0
      ? []
      : [
          `This host is too noisy for ${noisy.length} of ${comparisons.length} differences (the 95 % interval of the medians' difference holds 0, and is wider than 5 % of them): ${list(noisy, withInterval)}. A quieter host or a longer run may tell them apart.`,
        ]),
    ...(alike.length === 0 ? [] : [`Alike within 5 %: ${list(alike, ({ left, right }) => `${left} and ${right}`)}.`]),
    ...(few.length === 0 ? [] : [`Too few samples to tell boundaries apart by: ${[...new Set(few.map(titleOf))].join(", ")}.`]),
  ];
}

function list(comparisons: readonly Comparison[], say: (one: Comparison) => string): string {
  const titles = [...new Set(comparisons.map(titleOf))];
  return titles
    .map(
      (title) =>
        `${title} of ${comparisons
          .filter((one) => titleOf(one) === title)
          .map(say)
          .join(", ")}`,
    )
    .join("; ");
}

function withInterval({ left, right, unit, interval, n }: Comparison): string {
  return `${left} and ${right} (${formatFigure(interval[0], unit)} to ${formatFigure(interval[1], unit)}, n ${n.join(" and ")})`;
}

function titleOf({ metric }: Comparison): string {
  return TITLES[metric] ?? metric;
}
