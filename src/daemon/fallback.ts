/**
 * The operator's fallback chains: what may stand in for a boundary that this host does not have. Never without the policy naming it, never
 * below the floor, and never silent: the answer, inspect and events say what was asked for.
 */

import type { FallenBack, Identity } from "../api/index.ts";
import { BOUNDARY_KINDS, type BoundaryKind } from "../contract/boundary.ts";
import type { Call } from "../contract/call.ts";
import type { ProbeReport } from "../contract/driver.ts";
import type { Engine, WorkloadRequest } from "../engine/index.ts";
import { judge, type Policy, type PolicySubject } from "../policy/index.ts";

export interface FallbackParts {
  readonly engine: Pick<Engine, "probe" | "defaultIsolation">;
  readonly policy: { current(): Promise<Policy> };
  readonly subjectOf: (request: WorkloadRequest) => Promise<PolicySubject | undefined>;
}

/**
 * The first of the chain that this host has and the policy allows. Undefined where what was asked for stands by itself, or nothing of the chain
 * does: then what was asked for is refused with its own reasons.
 */
export async function fallBack(parts: FallbackParts, request: WorkloadRequest, identity: Identity, call: Call): Promise<FallenBack | undefined> {
  const policy = await parts.policy.current();
  const asked = request.isolation ?? parts.engine.defaultIsolation;
  const chain = policy.fallback?.[asked] ?? [];
  if (chain.length === 0) return undefined;
  const reports = await parts.engine.probe(undefined, { fresh: false }, call);
  const allowed = async (isolation: BoundaryKind) => {
    const subject = await parts.subjectOf({ ...request, isolation });
    return subject === undefined || judge(policy, identity, subject).length === 0;
  };
  const report = reportOf(reports, asked);
  if (report?.usable === true && (report.identity?.emulated !== true || (await allowed(asked)))) return undefined;
  for (const name of chain) {
    const isolation = BOUNDARY_KINDS.find((kind) => kind === name);
    if (isolation === undefined || reportOf(reports, isolation)?.usable !== true || !(await allowed(isolation))) continue;
    return { isolation, insteadOf: asked, because: `${asked} cannot be had here (${why(report)}), and the operator's policy lets ${isolation} stand in` };
  }
  return undefined;
}

function reportOf(reports: readonly ProbeReport[], kind: BoundaryKind): ProbeReport | undefined {
  return reports.find((report) => report.kind === kind);
}

function why(report: ProbeReport | undefined): string {
  if (report?.usable === true) return "only emulated, which is below the floor";
  return report?.findings.find(({ level }) => level === "missing")?.what ?? "this daemon has no driver for it";
}
