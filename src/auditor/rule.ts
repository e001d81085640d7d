/** A rule is data: what it looks for, what it means, what mends it. */

import type { Gain, Severity } from "./finding.ts";
import type { Edit, WorkloadView } from "./view.ts";

/** One place where a rule's finding stands. */
export interface Hit {
  /** As documents of the Docker API have it: `HostConfig.Privileged`. */
  readonly where: string;
  readonly what: string;
  readonly fix: string;
  readonly edits?: readonly Edit[];
  /** Where this place is worse or less bad than the rule as such. */
  readonly severity?: Severity;
  readonly attack?: string;
  readonly tests?: readonly string[];
}

export interface Rule {
  readonly id: string;
  readonly title: string;
  readonly severity: Severity;
  readonly gains: Gain;
  readonly attack: string;
  readonly find: (workload: WorkloadView) => readonly Hit[];
  readonly mayBreak?: true;
  /** Boundaries behind which it is worth less to an attacker, and why. */
  readonly losesForceOn?: Readonly<Record<string, string>>;
  readonly sources: readonly string[];
  /** Ids of test/security by which the attack is shown; without one it is argued. */
  readonly tests?: readonly string[];
}

/** Sections of the CIS Docker Benchmark 1.3.1, as docker-bench-security checks them. */
export const cis = (section: string): string => `CIS Docker Benchmark 1.3.1, ${section}`;

const MACHINE = "its kernel is its own: what is broken is the guest, not the host";
const SENTRY = "gVisor's kernel answers, not the host's";

/** For what gives power over the kernel that the workload talks to. */
export const OWN_KERNEL: Readonly<Record<string, string>> = { microvm: MACHINE, vm: MACHINE, gvisor: SENTRY, wasm: "a module has no kernel to ask" };
export const OWN_MACHINE: Readonly<Record<string, string>> = { microvm: MACHINE, vm: MACHINE };
