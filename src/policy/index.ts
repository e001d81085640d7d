/**
 * Admission: what the operator's policy demands of a workload, and whether it meets it. Every way into the daemon asks here, once, before
 * anything else (`src/daemon/admission.ts` brings the facts).
 */

export { OPEN_POLICY, parsePolicy, type Policy } from "./document.ts";
export { type Identity, judge } from "./judge.ts";
export type { PolicySubject } from "./subject.ts";
