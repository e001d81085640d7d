/** Which boundaries a workload may have on a host, and what an instance costs behind each: what a plan is made of. */

import type { BoundaryKind } from "../contract/boundary.ts";
import { decide, type Question } from "./decide.ts";
import type { Figure } from "./figures.ts";

export interface Choice {
  readonly boundary: BoundaryKind;
  /** Why not; empty where it may. */
  readonly against: readonly string[];
  /** The advisor's order: 0 is what it would take. Undefined for what is ruled out. */
  readonly rank: number | undefined;
  /** A crash of its kernel takes nobody else along. */
  readonly ownKernel: boolean;
  /** Bytes that one instance adds beside its own. */
  readonly memory: Figure;
  /** Percent of processor time over the plain host. */
  readonly cpu: Figure;
}

export function choicesFor(question: Question): readonly Choice[] {
  const { candidates, ruledOut, ranked, figures } = decide(question);
  return candidates.map((candidate) => {
    const { boundary, abilities } = candidate;
    const at = ranked.findIndex((one) => one.candidate.boundary === boundary);
    return {
      boundary,
      against: ruledOut.filter((one) => one.boundary === boundary).map(({ because }) => because),
      rank: at === -1 ? undefined : at,
      ownKernel: abilities.has("own-kernel"),
      memory: figures.of("memory", candidate),
      cpu: figures.of("cpu", candidate),
    };
  });
}
