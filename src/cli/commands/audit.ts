import { type AuditDocument, type AuditFinding, type Client, Failure } from "../../../sdk/src/index.ts";
import { isRecord, readDocument } from "../advice/documents.ts";
import { documentOfWords, documentOfWorkload, documentsOfFile } from "../audit/documents.ts";
import { renderFindings, summary } from "../audit/page.ts";
import { toSarif } from "../audit/sarif.ts";
import { type Command, type Invocation, UsageError } from "../command.ts";
import type { Flags } from "../flags.ts";
import { print, printLine, tell } from "../output.ts";
import { CLIENT_VERSION } from "../version.ts";

const LEVELS = ["info", "low", "medium", "high", "critical"] as const;

export const command: Command = {
  usage: "[OPTIONS] [WORKLOAD...] | --file FILE... | -- docker run ARG...",
  description:
    "Say what is wrong with workloads: what an attacker gains by it, the exact fix, and the boundary behind which it loses its force. Looks at running workloads, inspect documents, compose files, Dockerfiles, or the words of a `docker run`. Exit code 1 where a finding is at least as grave as --fail-on.",
  options: [
    {
      name: "file",
      short: "f",
      kind: "list",
      value: "FILE",
      help: "A Dockerfile, a compose file, an inspect document, or the body of a create",
      completes: "files",
    },
    { name: "fix", kind: "flag", help: "Print the one document mended: what is too dangerous to stay, and what breaks no program" },
    { name: "strict", kind: "flag", help: "With --fix: everything that can be mended, also where a program may stop to work" },
    { name: "accept", kind: "list", value: "ID=REASON", help: "A finding that is accepted, and why" },
    { name: "accept-file", kind: "text", value: "FILE", help: "Accepted findings: a map of ids and reasons in JSON or YAML", completes: "files" },
    {
      name: "fail-on",
      kind: "text",
      value: "LEVEL",
      help: `Least severity for exit code 1: ${LEVELS.join(", ")}, never`,
      initially: "high",
      choices: [...LEVELS, "never"],
    },
    { name: "format", kind: "text", value: "FORMAT", help: "text, json or sarif", initially: "text", choices: ["text", "json", "sarif"] },
    { name: "json", kind: "flag", help: "Same as --format json" },
  ],
  examples: [
    { command: "bulkhead audit web", says: "a workload that is here" },
    { command: "bulkhead audit --file compose.yaml --format sarif", says: "for a code host" },
    { command: "bulkhead audit -- docker run --privileged -v /:/host busybox", says: "before it is run" },
    { command: "bulkhead audit --file compose.yaml --fix", says: "the same services, hardened" },
  ],
  least: 0,
  completes: "workloads",
  run: audit,
};

async function audit({ flags, args, client }: Invocation): Promise<number> {
  const documents = await findDocuments(client, flags, args);
  const accepted = await readAccepted(flags);
  if (flags.on("fix")) return fix(client, documents, { strict: flags.on("strict"), accepted });
  const findings = await client.auditor.audit(documents, { accepted });
  const format = flags.on("json") ? "json" : (flags.text("format") ?? "text");
  if (format === "json") printLine(JSON.stringify({ schemaVersion: 1, findings }, undefined, 2));
  else if (format === "sarif") printLine(JSON.stringify(toSarif(findings, CLIENT_VERSION), undefined, 2));
  else print(renderFindings(findings));
  return isGrave(findings, flags.text("fail-on") ?? "high") ? 1 : 0;
}

/** What stands after `--` or looks like a command is one; other words are names of workloads. */
async function findDocuments(client: Client, flags: Flags, args: readonly string[]): Promise<readonly AuditDocument[]> {
  const files = flags.list("file");
  const isCommand = args.length > 1 && (["docker", "podman", "nerdctl", "bulkhead"].includes(args[0] ?? "") || args[0] === "run" || args[0] === "create");
  if (files.length + args.length === 0) throw new UsageError("nothing to audit", "Name a workload, a --file, or write the command after --");
  const named = isCommand ? [documentOfWords(args)] : await Promise.all(args.map((name) => documentOfWorkload(client, name)));
  return [...(await Promise.all(files.map(documentsOfFile))).flat(), ...named];
}

/** A reason is asked for: an exception without one is a hole that nobody remembers. */
async function readAccepted(flags: Flags): Promise<Readonly<Record<string, string>>> {
  const file = flags.text("accept-file");
  const given = file === undefined ? {} : await readDocument(file);
  if (!isRecord(given)) throw new Failure("INVALID_SPEC", `${file} is no map of findings and reasons`, { remedy: "BH021: the init needs root" });
  const pairs = [
    ...Object.entries(given).map(([id, reason]) => [id, typeof reason === "string" ? reason : ""] as const),
    ...flags.list("accept").map((text) => [text.split("=", 1)[0] ?? "", text.includes("=") ? text.slice(text.indexOf("=") + 1) : ""] as const),
  ];
  for (const [id, reason] of pairs)
    if (!/^BH\d{3}$/.test(id) || reason.trim() === "")
      throw new UsageError(`${JSON.stringify(id)} is not accepted: give the finding's id and why`, "--accept 'BH021=the init needs root'");
  return Object.fromEntries(pairs);
}

async function fix(
  client: Client,
  documents: readonly AuditDocument[],
  options: { readonly strict: boolean; readonly accepted: Readonly<Record<string, string>> },
): Promise<number> {
  const [document, ...more] = documents;
  if (document === undefined || more.length > 0) throw new UsageError("--fix mends one document at a time");
  const { content, mended, left } = await client.auditor.mend(document, options);
  if (document.kind === "compose") print((await import("../advice/yaml.ts")).stringify(content));
  else printLine(JSON.stringify(content, undefined, 2));
  for (const { id, subject, what } of mended) tell(`mended ${id} ${subject}: ${what}`);
  tell(`left: ${summary(left)}`);
  return 0;
}

function isGrave(findings: readonly AuditFinding[], level: string): boolean {
  if (level === "never") return false;
  const least = LEVELS.indexOf(level as (typeof LEVELS)[number]);
  return findings.some(({ severity, accepted }) => accepted === undefined && LEVELS.indexOf(severity) >= least);
}
