/** The rules over workloads: every finding, worst first, each with what it is worth behind this workload's own boundary. */

import { type Finding, SEVERITIES, type Severity } from "./finding.ts";
import type { Hit, Rule } from "./rule.ts";
import { CAPABILITY_RULES } from "./rules/capabilities.ts";
import { HOST_RULES } from "./rules/host.ts";
import { INSIDE_RULES } from "./rules/inside.ts";
import { LIMIT_RULES } from "./rules/limits.ts";
import type { WorkloadView } from "./view.ts";

export const WORKLOAD_RULES: readonly Rule[] = [...HOST_RULES, ...CAPABILITY_RULES, ...INSIDE_RULES, ...LIMIT_RULES];

export function auditWorkload(view: WorkloadView, accepted: Readonly<Record<string, string>> = {}): readonly Finding[] {
  const reasons = { ...view.accepted, ...accepted };
  return WORKLOAD_RULES.flatMap((rule) => rule.find(view).map((hit) => describe(rule, hit, view, reasons)));
}

/** Worst first; then by rule, so that the same input gives the same page. */
export function sorted(findings: readonly Finding[]): readonly Finding[] {
  const weight = (finding: Finding): number => SEVERITIES.indexOf(finding.severity);
  return findings.toSorted(
    (left, right) =>
      weight(right) - weight(left) || left.subject.localeCompare(right.subject) || left.id.localeCompare(right.id) || left.what.localeCompare(right.what),
  );
}

function describe(rule: Rule, hit: Hit, view: WorkloadView, reasons: Readonly<Record<string, string>>): Finding {
  const baseSeverity = hit.severity ?? rule.severity;
  const loses = rule.losesForceOn ?? {};
  const reason = reasons[rule.id];
  return {
    id: rule.id,
    title: rule.title,
    severity: isHeld(loses, view) ? lowered(baseSeverity) : baseSeverity,
    baseSeverity,
    subject: view.name,
    where: hit.where,
    what: hit.what,
    gains: rule.gains,
    attack: hit.attack ?? rule.attack,
    fix: hit.fix,
    edits: hit.edits ?? [],
    mayBreak: rule.mayBreak ?? false,
    losesForceOn: Object.entries(loses).map(([boundary, because]) => ({ boundary, because })),
    ...(isImitated(loses, view)
      ? { keepsForce: `${view.boundary?.kind} is emulated on this host, and emulation is no wall: it would lose its force where the processor virtualises` }
      : {}),
    sources: rule.sources,
    tests: hit.tests ?? rule.tests ?? [],
    ...(reason === undefined ? {} : { accepted: reason }),
  };
}

/** An emulated machine holds nobody who means it. */
function isHeld(loses: Readonly<Record<string, string>>, { boundary }: WorkloadView): boolean {
  return boundary !== undefined && !boundary.emulated && Object.hasOwn(loses, boundary.kind);
}

/** Behind what would hold, were it not imitated. */
function isImitated(loses: Readonly<Record<string, string>>, { boundary }: WorkloadView): boolean {
  return boundary !== undefined && boundary.emulated && Object.hasOwn(loses, boundary.kind);
}

/** What is left of it: worth knowing, no way out. */
function lowered(severity: Severity): Severity {
  return severity === "critical" || severity === "high" ? "low" : "info";
}
