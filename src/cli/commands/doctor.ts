import { Failure, type DoctorReport, type Finding, type ProbeReport } from "../../../sdk/src/index.ts";
import type { Command } from "../command.ts";
import { clean, colour, printLine } from "../output.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  description: "What this host can do, found out by doing it, with a remedy for what is missing. Exit code 1 only where no boundary is usable.",
  options: [
    { name: "json", kind: "flag", help: "One JSON document with schemaVersion, findings and boundaries" },
    { name: "fresh", kind: "flag", help: "Look again instead of remembering" },
  ],
  examples: [{ command: "bulkhead doctor --json", says: "for a script" }],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    const fresh = flags.on("fresh");
    const report = await client.system.doctor({ fresh }).catch(orNothing);
    const boundaries = await client.system.probes({ fresh });
    const usable = boundaries.some((boundary) => boundary.usable);
    if (flags.on("json")) printLine(JSON.stringify({ ...report, boundaries }, undefined, 2));
    else show(hostFindings(report, boundaries), boundaries);
    return usable ? 0 : 1;
  },
};

/** A server without the host's own findings still has its boundaries. */
function orNothing(thrown: unknown): DoctorReport {
  if (thrown instanceof Failure && thrown.code === "NOT_FOUND") return { schemaVersion: 1, findings: [] };
  throw thrown;
}

/** The host's own: what the daemon names after a boundary is shown with that. */
function hostFindings(report: DoctorReport, boundaries: readonly ProbeReport[]): readonly Finding[] {
  const told = new Set(boundaries.flatMap(({ kind, findings }) => findings.flatMap(({ id }) => [id, `${kind}-${id}`])));
  return report.findings.filter(({ id }) => !told.has(id));
}

const MARKS = { ok: ["✓", "green"], note: ["•", "grey"], warning: ["!", "yellow"], missing: ["✗", "red"] } as const;

function show(findings: readonly Finding[], boundaries: readonly ProbeReport[]): void {
  if (findings.length > 0) {
    printLine(colour("host", "bold"));
    findings.forEach(showFinding);
  }
  for (const boundary of boundaries) {
    const { identity } = boundary;
    const engine = identity === undefined ? "" : `, ${identity.engine} ${identity.version}${identity.emulated ? ", emulated: not a security boundary" : ""}`;
    printLine(`${colour(boundary.kind, "bold")} (${boundary.usable ? "usable" : "not usable"}${clean(engine)})`);
    boundary.findings.forEach(showFinding);
  }
  const usable = boundaries.filter((boundary) => boundary.usable).map((boundary) => boundary.kind);
  printLine(usable.length > 0 ? `\nUsable here: ${usable.join(", ")}` : "\nNo boundary is usable here: follow the remedies above");
}

function showFinding(finding: Finding): void {
  const [mark, name] = MARKS[finding.level] ?? MARKS.note;
  printLine(`  ${colour(mark, name)} ${clean(finding.what)}`);
  if (finding.remedy !== undefined) printLine(`      Remedy: ${clean(finding.remedy)}`);
}
