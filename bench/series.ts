/** What a run of the benchmark leaves behind: raw samples with where they came from. The JSON of `compare` is made of these. */

import type { Summary } from "./statistics.ts";

/** Metrics are named as claims.json names them, so that a claim finds its figure. */
export interface Series {
  readonly metric: string;
  /** A subject's id: a boundary's name, or `raw-…`. */
  readonly subject: string;
  readonly unit: "s" | "bytes" | "%" | "ns" | "ratio" | "copies" | "instances" | "text";
  readonly samples: readonly number[];
  readonly summary: Summary;
  /** For facts that are not numbers. */
  readonly text?: string;
  /** The command that repeats this figure. */
  readonly command: string;
}

/** A thing that was measured. */
export interface SubjectDescription {
  readonly id: string;
  /** The boundary whose claims its figures answer; absent for raw mechanisms. */
  readonly boundary?: string;
  readonly engine: string;
  readonly version: string;
  readonly emulated: boolean;
}

/** A measure or a subject that could not be measured: a row that says so, never a missing one. */
export interface Gap {
  readonly subject: string;
  readonly metric: string;
  readonly because: string;
}
