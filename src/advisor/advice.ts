/** `advise`: the decision in words, with its evidence. The JSON that scripts read and the page that people read are both made of this. */

import type { BoundaryKind } from "../contract/boundary.ts";
import type { Candidate } from "./abilities.ts";
import { decide, type Decision, type Question, type RuledOut } from "./decide.ts";
import type { Figure, Metric } from "./figures.ts";
import { type Mitigation, mitigationsFor } from "./mitigations.ts";
import type { Assumption } from "./needs.ts";
import { findRunnerUp, type RunnerUp } from "./runner-up.ts";
import type { Weights } from "./scores.ts";

export interface Recommendation {
  readonly boundary: BoundaryKind;
  readonly engine: string;
  /** Outermost first: one name, or more where something of its own runs inside. */
  readonly nesting: readonly string[];
}

export interface Advice {
  readonly schemaVersion: 1;
  /** Null where nothing here can meet the requirements: `reason` says why. */
  readonly recommendation: Recommendation | null;
  /** Why this one; or why none. */
  readonly reason: string;
  readonly runnerUp: RunnerUp | null;
  readonly ruledOut: readonly RuledOut[];
  /** The score of each that was left, best first: points, fewer is better. */
  readonly ranking: readonly { readonly boundary: BoundaryKind; readonly score: number; readonly terms: readonly RankingTerm[] }[];
  readonly mitigations: readonly Mitigation[];
  readonly assumptions: readonly Assumption[];
  readonly evidence: readonly Evidence[];
  readonly weights: Weights;
  readonly confidence: "low" | "medium" | "high";
}

export interface RankingTerm {
  readonly id: string;
  readonly weight: string;
  readonly points: number;
  readonly because: string;
}

/** A figure that counted. `measuredAt` is null for a textbook's, and `command` then says where it stands. */
export interface Evidence {
  readonly metric: string;
  readonly boundary: BoundaryKind;
  readonly value: number;
  readonly unit: string;
  readonly measuredAt: string | null;
  readonly command: string;
}

export function advise(question: Question): Advice {
  const decision = decide(question);
  const best = decision.ranked[0];
  const shared = best === undefined ? sharedMachine(decision) : undefined;
  const chosen = best?.candidate ?? shared;
  return {
    schemaVersion: 1,
    recommendation:
      chosen === undefined ? null : { boundary: chosen.boundary, engine: chosen.engine, nesting: nestingOf(chosen, decision, shared !== undefined) },
    reason: reasonOf(decision, chosen, shared !== undefined),
    runnerUp: findRunnerUp(question, decision) ?? null,
    ruledOut: decision.ruledOut.filter(({ boundary }) => boundary !== chosen?.boundary),
    ranking: decision.ranked.map(({ candidate, score, terms }) => ({
      boundary: candidate.boundary,
      score: round(score),
      terms: terms.map(({ id, weight, points, because }) => ({ id, weight, points: round(points), because })),
    })),
    mitigations: chosen === undefined ? [] : mitigationsFor(chosen.boundary, decision.needs),
    assumptions: assumptionsOf(question, decision, chosen),
    evidence: evidenceOf(decision),
    weights: decision.weights,
    confidence: confidenceOf(decision, chosen),
  };
}

/**
 * Too many instances for a machine each, and too many strangers for one kernel: containers of one tenant share that tenant's machine, as most
 * clouds do. The machine is the wall between tenants, the container the one between a tenant's own workloads.
 */
function sharedMachine({ candidates, ruledOut, needs }: Decision): Candidate | undefined {
  const { facts } = needs;
  if (facts["tenancy"] !== "multi" || facts["trust"] === "untrusted" || facts["artifact"] !== "oci-image") return undefined;
  const sharing = candidates.find(({ abilities }) => abilities.has("linux-kernel") && !abilities.has("own-kernel"));
  const against = ruledOut.filter(({ boundary }) => boundary === sharing?.boundary);
  if (sharing === undefined || against.some(({ rule }) => rule === "host-lacks" || rule.startsWith("budget-") || rule.startsWith("size-"))) return undefined;
  return candidates.find(({ boundary, abilities }) => {
    const reasons = ruledOut.filter((one) => one.boundary === boundary);
    return abilities.has("machine-wall") && reasons.length > 0 && reasons.every(({ rule }) => rule === "budget-density");
  });
}

function nestingOf({ boundary, abilities }: Candidate, { needs }: Decision, shared: boolean): string[] {
  const { facts } = needs;
  if (shared) return [boundary, "container"];
  if (facts["nested"] === "virtual-machine") return [boundary, "vm"];
  const engineInside = facts["nested"] === "docker" || (facts["privileges.docker-socket"] === true && abilities.has("docker-inside"));
  return engineInside ? [boundary, "container"] : [boundary];
}

function reasonOf({ ranked, ruledOut, needs }: Decision, chosen: Candidate | undefined, shared: boolean): string {
  if (chosen === undefined) return `Nothing here can meet this: ${ruledOut.map(({ because }) => because).join("; ")}.`;
  if (shared)
    return `One ${chosen.boundary} for each tenant, and containers in it: so many instances fit no other way, and the machine is the wall between tenants, the container only the one between a tenant's own.`;
  const [best, second] = ranked;
  const slow = chosen.emulated ? " It is emulated on this host: slow, and no security boundary." : "";
  const software = chosen.abilities.has("system-call-wall") && !chosen.abilities.has("machine-wall") && needs.facts["artifact"] === "oci-image";
  const loss = software && needs.facts["trust"] === "untrusted" ? " A machine would be the stronger wall where hardware virtualisation is usable." : "";
  if (second === undefined || best === undefined) return `${chosen.boundary} is the only boundary that meets what was asked.${slow}${loss}`;
  const worse = second.terms
    .map((term) => ({ term, more: term.points - (best.terms.find((one) => one.id === term.id)?.points ?? 0) }))
    .toSorted((left, right) => right.more - left.more)[0];
  const why = worse === undefined || worse.more <= 0 ? "" : `; ${second.candidate.boundary}, the next, ${said(worse.term)}`;
  return `${chosen.boundary} meets what was asked at the least cost${why}.${slow}${loss}`;
}

function said(term: { readonly because: string; readonly figure?: Figure }): string {
  return term.figure === undefined ? `loses by this: ${term.because}` : term.because;
}

function assumptionsOf({ host, requirements, measurements, seen = [] }: Question, { needs, weights }: Decision, chosen: Candidate | undefined): Assumption[] {
  const found: Assumption[] = [...needs.assumptions, ...seen];
  for (const [key, value] of Object.entries(host.assumed)) found.push({ field: `host.${key}`, value, text: "given by --assume instead of found on this host" });
  if (requirements.weights === undefined) found.push({ field: "weights", value: weights, text: "security, speed and cost weigh alike" });
  if (requirements.budgets?.instancesPerHost !== undefined && requirements.size?.memoryBytes === undefined)
    found.push({ field: "size.memoryBytes", value: 0, text: "what an instance itself uses was not said, so only the boundary's part was counted" });
  if (measurements === undefined)
    found.push({ field: "measurements", value: null, text: "nothing was measured on this host yet: textbook figures count. Run `bulkhead compare`" });
  if (host.allowEmulated) found.push({ field: "allowEmulated", value: true, text: "the policy takes emulated machines for a wall" });
  if (chosen?.abilities.has("gpu") === true && chosen.abilities.has("machine-wall") && needs.facts["gpu"] !== "none")
    found.push({ field: "host.iommu", value: true, text: "the GPU can be handed to a machine (VFIO, SR-IOV or vGPU)" });
  return found;
}

/** What the ranking of those that were left rests on, and nothing else. */
function evidenceOf({ ranked, candidates, ruledOut, figures }: Decision): Evidence[] {
  const budgets: readonly (readonly [string, Metric])[] = [
    ["budget-startup", "startup"],
    ["budget-memory", "memory"],
    ["budget-density", "memory"],
    ["budget-cpu", "cpu"],
  ];
  const counted = ranked.flatMap(({ terms }) => terms.flatMap(({ figure }) => figure ?? []));
  const excluding = candidates.flatMap((candidate) =>
    budgets.flatMap(([rule, metric]) =>
      ruledOut.some((one) => one.boundary === candidate.boundary && one.rule === rule) ? [figures.of(metric, candidate)] : [],
    ),
  );
  const seen = new Set<string>();
  return [...counted, ...excluding].flatMap(({ metric, boundary, value, unit, measuredAt, command }) => {
    const key = `${boundary} ${metric}`;
    if (seen.has(key)) return [];
    seen.add(key);
    return [{ metric, boundary, value, unit, measuredAt: measuredAt ?? null, command }];
  });
}

/** High: what matters was said, what counts was measured, and the runner-up is not close. Each of these that is missing costs a step. */
function confidenceOf({ ranked, needs }: Decision, chosen: Candidate | undefined): Advice["confidence"] {
  const guessed = needs.assumptions.some(({ field }) => field === "trust" || field === "artifact") && needs.assumptions.length > 8;
  const [best, second] = ranked;
  const close = best !== undefined && second !== undefined && second.score - best.score < 0.15;
  const unmeasured =
    second !== undefined && [best, second].some((one) => one?.terms.some(({ figure }) => figure !== undefined && figure.measuredAt === undefined) === true);
  const steps = [guessed, close, unmeasured, chosen?.emulated === true].filter(Boolean).length;
  return steps === 0 ? "high" : steps === 1 ? "medium" : "low";
}

function round(points: number): number {
  return Math.round(points * 1000) / 1000;
}
