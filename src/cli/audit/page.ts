/** Findings as a page for people. */

import type { AuditFinding } from "../../../sdk/src/index.ts";
import { clean, colour } from "../output.ts";

const COLOURS = { critical: "red", high: "red", medium: "yellow", low: "blue", info: "grey" } as const;

export function renderFindings(findings: readonly AuditFinding[]): string {
  const open = findings.filter(({ accepted }) => accepted === undefined);
  return [...open.map(renderFinding), ...findings.filter(({ accepted }) => accepted !== undefined).map(renderAccepted), `${summary(findings)}\n`].join("\n");
}

function renderFinding(finding: AuditFinding): string {
  const { id, severity, baseSeverity, subject, where, what, title, gains, attack, fix, sources, tests } = finding;
  const lowered = severity === baseSeverity ? "" : ` (${baseSeverity} behind a container)`;
  const loses = finding.losesForceOn.map(({ boundary, because }) => `    behind ${boundary}: ${clean(because)}\n`);
  return [
    `${colour(severity.toUpperCase(), COLOURS[severity])}${lowered} ${id} ${clean(title)}\n`,
    `  ${clean(subject)}: ${clean(what)} ${colour(`[${clean(where)}]`, "grey")}\n`,
    `  Gain: ${gains}. ${clean(attack)}\n`,
    `  Fix: ${clean(fix)}\n`,
    ...(loses.length === 0 ? [] : ["  Loses its force\n", ...loses]),
    ...(finding.keepsForce === undefined ? [] : [`  Not here: ${clean(finding.keepsForce)}\n`]),
    `  ${colour([...sources, tests.length > 0 ? `shown by test/security: ${tests.join(", ")}` : gains === "host root" ? "argued" : ""].filter(Boolean).map(clean).join("; "), "grey")}\n`,
  ].join("");
}

function renderAccepted({ id, title, subject, what, accepted = "" }: AuditFinding): string {
  return colour(`accepted ${id} ${clean(title)}\n  ${clean(subject)}: ${clean(what)}\n  Because: ${clean(accepted)}\n`, "grey");
}

/** `2 critical, 1 low; 1 accepted`. */
export function summary(findings: readonly AuditFinding[]): string {
  const open = findings.filter(({ accepted }) => accepted === undefined);
  const counts = Object.keys(COLOURS).flatMap((severity) => {
    const count = open.filter((finding) => finding.severity === severity).length;
    return count === 0 ? [] : [`${count} ${severity}`];
  });
  const waived = findings.length - open.length;
  return `${counts.length === 0 ? "No findings" : counts.join(", ")}${waived === 0 ? "" : `; ${waived} accepted`}`;
}
