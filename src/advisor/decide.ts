/** The decision itself, without its words: who is ruled out by what, and how the rest ranks. Pure: the same input gives the same answer. */

import type { BoundaryKind } from "../contract/boundary.ts";
import { type Candidate, listCandidates } from "./abilities.ts";
import { Figures, type Measurements } from "./figures.ts";
import type { Host } from "./host.ts";
import { excessesOf } from "./limits.ts";
import { type Assumption, isForeignArchitecture, type Needs, readNeeds } from "./needs.ts";
import type { Requirements } from "./requirements.ts";
import { holds, RULES } from "./rules.ts";
import { rank, type Scored, type Weights } from "./scores.ts";

export interface Question {
  readonly requirements: Requirements;
  readonly host: Host;
  /** The last that `bulkhead compare` measured here. */
  readonly measurements?: Measurements;
  /** What was seen in its image: told, and no ground for the decision. */
  readonly seen?: readonly Assumption[];
}

export interface RuledOut {
  readonly boundary: BoundaryKind;
  readonly rule: string;
  readonly because: string;
  readonly source: string;
}

export interface Decision {
  readonly needs: Needs;
  readonly figures: Figures;
  readonly weights: Weights;
  readonly candidates: readonly Candidate[];
  readonly ruledOut: readonly RuledOut[];
  /** Best first. */
  readonly ranked: readonly Scored[];
}

export const EVEN_WEIGHTS: Weights = { security: 1, speed: 1, cost: 1 };

export function decide({ requirements, host, measurements }: Question): Decision {
  const needs = readNeeds(requirements, host);
  const figures = new Figures(measurements, host);
  const weights = { ...EVEN_WEIGHTS, ...requirements.weights };
  const candidates = listCandidates(host, isForeignArchitecture(requirements, host));
  const ruledOut = candidates.flatMap((candidate) => reasonsAgainst(candidate, needs, { figures, host }));
  const left = candidates.filter(({ boundary }) => !ruledOut.some((one) => one.boundary === boundary));
  return { needs, figures, weights, candidates, ruledOut, ranked: rank(left, needs, { figures, weights }) };
}

function reasonsAgainst(candidate: Candidate, needs: Needs, given: { readonly figures: Figures; readonly host: Host }): RuledOut[] {
  const { boundary } = candidate;
  const lacking = RULES.filter((rule) => holds(rule.when, needs.facts) && !candidate.abilities.has(rule.needs)).map((rule) => ({
    boundary,
    rule: rule.id,
    because: `${boundary}: ${rule.wall === true && candidate.emulated ? "it is emulated here, and an emulated machine is no security boundary" : rule.because}`,
    source: rule.source,
  }));
  const absent =
    candidate.absent === undefined ? [] : [{ boundary, rule: "host-lacks", because: `${boundary}: ${candidate.absent}`, source: "this host's probes" }];
  const excesses = excessesOf(candidate, needs, given).map((excess) => ({ ...excess, boundary, because: `${boundary}: ${excess.because}` }));
  return [...lacking, ...absent, ...excesses];
}
