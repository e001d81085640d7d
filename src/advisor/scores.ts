/** What is left is ranked: each candidate's costs, in points along the user's three weights. Fewer is better. */

import type { Candidate } from "./abilities.ts";
import type { Figure, Figures, Metric } from "./figures.ts";
import { EMULATION, FITS, type Weight } from "./fits.ts";
import { describe } from "./limits.ts";
import type { Needs } from "./needs.ts";
import { holds } from "./rules.ts";

/** One line of a candidate's bill. */
export interface Term {
  readonly id: string;
  readonly weight: Weight;
  readonly points: number;
  readonly because: string;
  /** The figure that the points were computed from. */
  readonly figure?: Figure;
}

export interface Scored {
  readonly candidate: Candidate;
  readonly terms: readonly Term[];
  readonly score: number;
}

export type Weights = Readonly<Record<Weight, number>>;

/** How much a start weighs, by how often there is one. */
const STARTS: Readonly<Record<string, number>> = { milliseconds: 2, seconds: 1, hours: 0.4, months: 0.1 };

interface Scale {
  readonly metric: Metric;
  readonly weight: Weight;
  /** Points for a value in the metric's unit; undefined where the metric does not matter to these needs. */
  readonly points: (value: number, needs: Needs) => number | undefined;
  readonly say: (figure: string) => string;
}

/** Logarithms, because people feel ratios: ten times the memory is as much worse from 1 to 10 MB as from 10 to 100. */
const SCALES: readonly Scale[] = [
  {
    metric: "startup",
    weight: "speed",
    points: (value, { facts }) => Math.log10(Math.max(1, value)) * 0.4 * (STARTS[String(facts["lifetime"])] ?? 0.4),
    say: (figure) => `starts in ${figure}`,
  },
  {
    metric: "memory",
    weight: "cost",
    points: (value, { requirements }) => Math.log10(1 + Math.max(0, value) / 1e6) * (requirements.budgets?.instancesPerHost === undefined ? 0.4 : 0.6),
    say: (figure) => `takes ${figure} of memory beside the workload's own`,
  },
  {
    metric: "cpu",
    weight: "speed",
    points: (value, { facts }) => (facts["intensity.cpu"] === "high" ? Math.min(3, Math.log2(1 + Math.max(0, value) / 10)) : undefined),
    say: (figure) => `computing costs ${figure} more than on the plain host`,
  },
  {
    metric: "syscall",
    weight: "speed",
    points: (value, { facts }) => (facts["intensity.syscalls"] === "high" ? Math.log10(1 + Math.max(0, value)) * 0.8 : undefined),
    say: (figure) => `a system call costs ${figure} more than on the plain host`,
  },
];

/** Best first; equal scores keep the order given. */
export function rank(candidates: readonly Candidate[], needs: Needs, given: { readonly figures: Figures; readonly weights: Weights }): Scored[] {
  const scored = candidates.map((candidate) => {
    const terms = termsOf(candidate, needs, given.figures);
    return { candidate, terms, score: terms.reduce((sum, term) => sum + term.points * given.weights[term.weight], 0) };
  });
  return scored.toSorted((left, right) => left.score - right.score);
}

function termsOf(candidate: Candidate, needs: Needs, figures: Figures): Term[] {
  const terms: Term[] = [];
  for (const { metric, weight, points, say } of SCALES) {
    const figure = figures.of(metric, candidate);
    const cost = points(figure.value, needs);
    if (cost !== undefined) terms.push({ id: metric, weight, points: cost, because: say(describe(figure)), figure });
  }
  for (const fit of FITS) {
    const cost = fit.points[candidate.boundary];
    if (cost !== undefined && holds(fit.when, needs.facts)) terms.push({ id: fit.id, weight: fit.weight, points: cost, because: fit.because });
  }
  if (candidate.emulated) terms.push(EMULATION);
  return terms;
}
