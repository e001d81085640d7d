/** SARIF 2.1.0, as code hosts and editors read it. */

import type { AuditFinding } from "../../../sdk/src/index.ts";

const LEVELS = { critical: "error", high: "error", medium: "warning", low: "note", info: "note" } as const;
/** What GitHub sorts by; its own bounds are 9, 7 and 4. */
const SCORES = { critical: "9.5", high: "8.0", medium: "5.5", low: "3.0", info: "1.0" } as const;

export function toSarif(findings: readonly AuditFinding[], version: string): object {
  const rules = new Map(findings.map((finding) => [finding.id, finding]));
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [{ tool: { driver: { name: "Bulkhead audit", version, rules: [...rules.values()].map(toRule) } }, results: findings.map(toResult) }],
  };
}

function toRule({ id, title, attack, fix, baseSeverity, sources }: AuditFinding): object {
  return {
    id,
    name: id,
    shortDescription: { text: title },
    fullDescription: { text: attack },
    help: { text: `${fix}\n\nSources: ${sources.join("; ")}` },
    defaultConfiguration: { level: LEVELS[baseSeverity as keyof typeof LEVELS] },
    properties: { tags: ["security"], "security-severity": SCORES[baseSeverity as keyof typeof SCORES] },
  };
}

function toResult(finding: AuditFinding): object {
  const { id, severity, subject, where, what, fix, line, accepted } = finding;
  return {
    ruleId: id,
    level: LEVELS[severity],
    message: { text: `${subject}: ${what}. ${fix}` },
    locations: [
      {
        // A workload has no file; its name stands for it.
        physicalLocation: { artifactLocation: { uri: encodeURI(subject) }, region: { startLine: line ?? 1 } },
        logicalLocations: [{ fullyQualifiedName: `${subject}/${where}` }],
      },
    ],
    properties: { "security-severity": SCORES[severity] },
    ...(accepted === undefined ? {} : { suppressions: [{ kind: "external", status: "accepted", justification: accepted }] }),
  };
}
