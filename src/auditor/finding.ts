/** What an audit says. */

import type { Edit } from "./view.ts";

export const SEVERITIES = ["info", "low", "medium", "high", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** What an attacker inside the workload gains by it. */
export type Gain = "host root" | "another tenant" | "data" | "service" | "a foothold";

export interface Finding {
  /** Stable: `BH004`. */
  readonly id: string;
  readonly title: string;
  readonly severity: Severity;
  /** What it would be behind a container, where the workload's own boundary takes its force. */
  readonly baseSeverity: Severity;
  /** The workload, the service or the Dockerfile. */
  readonly subject: string;
  /** Where in the document, as its words have it; a line for a Dockerfile. */
  readonly where: string;
  readonly line?: number;
  readonly what: string;
  readonly gains: Gain;
  readonly attack: string;
  readonly fix: string;
  /** What `--fix` does; empty where a person must decide. */
  readonly edits: readonly Edit[];
  /** Whether programs that work today may stop to work by it. */
  readonly mayBreak: boolean;
  readonly losesForceOn: readonly { readonly boundary: string; readonly because: string }[];
  /** Why it keeps its force behind this workload's boundary, which is one of those. */
  readonly keepsForce?: string;
  readonly sources: readonly string[];
  /** Of the escape suite; empty where it is argued. */
  readonly tests: readonly string[];
  /** Why somebody accepts it; such a finding decides nothing. */
  readonly accepted?: string;
}

export function isAtLeast(severity: Severity, least: Severity): boolean {
  return SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(least);
}
