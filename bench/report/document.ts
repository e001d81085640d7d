/** The JSON of `compare`: what its schema (`compare.schema.json`) describes. Instants RFC 3339; figures in the units that stand beside them. */

import type { Claim, Verdict } from "../claims.ts";
import type { Comparison } from "../comparisons.ts";
import type { HostDescription } from "../host.ts";
import type { Gap, Series, SubjectDescription } from "../series.ts";

export interface CompareDocument {
  readonly schemaVersion: 1;
  readonly measuredAt: string;
  readonly bulkhead: string;
  /** The command that repeats the whole. */
  readonly command: string;
  readonly image: string;
  readonly workload: readonly string[];
  readonly seed: number;
  /** False where it was interrupted or ran out of time: what was measured is here. */
  readonly complete: boolean;
  readonly host: HostDescription;
  readonly subjects: readonly SubjectDescription[];
  readonly series: readonly Series[];
  readonly gaps: readonly Gap[];
  /** Which boundaries the figures tell apart. Absent from documents of before it was said. */
  readonly comparisons?: readonly Comparison[];
  readonly claims: readonly (Claim & { readonly judged: Verdict })[];
}
