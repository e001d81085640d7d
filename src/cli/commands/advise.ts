import { isRecord, readDocument } from "../advice/documents.ts";
import { renderAdvice } from "../advice/page.ts";
import { readRequirements, REQUIREMENT_OPTIONS } from "../advice/requirement-options.ts";
import type { Client } from "../../../sdk/src/index.ts";
import { type Command, UsageError } from "../command.ts";
import type { Flags } from "../flags.ts";
import { clean, colour, print, printLine } from "../output.ts";

export const command: Command = {
  usage: "[OPTIONS] [IMAGE]",
  description:
    "Say which boundary a workload needs: from its requirements, the image, what this host can do, and what `bulkhead compare` measured here. What is not said is assumed by name. Exit code 1 where nothing here can meet the requirements.",
  options: [
    {
      name: "requirements",
      kind: "text",
      value: "FILE",
      help: "Requirements as JSON or YAML (docs/schema/requirements.json); options go before them",
      completes: "files",
    },
    {
      name: "assume",
      kind: "list",
      value: "KEY=VALUE",
      help: "Answer for another host: kvm, sev-snp, tdx, gpu, realtime, nested, kernel, runsc, memory, cpus …",
    },
    {
      name: "measurements",
      kind: "text",
      value: "FILE",
      help: "A file of `bulkhead compare --json` instead of what was last measured here",
      completes: "files",
    },
    { name: "compose", kind: "text", value: "FILE", help: "Advice for each service of a compose file", completes: "files" },
    {
      name: "inspect",
      kind: "text",
      value: "FILE",
      help: "Advice for a workload as `bulkhead inspect` or `docker inspect` printed it; - is standard input",
      completes: "files",
    },
    { name: "explain", kind: "flag", help: "With the layers, from the hardware to the application, as they would be here" },
    { name: "json", kind: "flag", help: "The advice as one JSON document" },
    ...REQUIREMENT_OPTIONS,
  ],
  examples: [
    { command: "bulkhead advise --trust untrusted --tenancy multi busybox", says: "strangers' code" },
    { command: "bulkhead advise --compliance hypervisor --assume kvm=yes", says: "on a host that is still to be bought" },
    { command: "bulkhead advise --requirements needs.yaml --json", says: "for a script" },
    { command: "bulkhead advise --compose compose.yaml --trust partner", says: "for each service" },
    { command: "bulkhead inspect web | bulkhead advise --inspect - --explain", says: "for what runs, layer by layer" },
  ],
  least: 0,
  most: 1,
  completes: "images",
  run: async ({ flags, args, client }) => {
    const file = flags.text("requirements");
    const given = file === undefined ? {} : await readDocument(file);
    const measurements = flags.text("measurements");
    const question = {
      requirements: over(given, readRequirements(flags)),
      assume: flags.list("assume"),
      ...(flags.on("explain") ? { explain: true } : {}),
      ...(measurements === undefined ? {} : { measurements: trim(await readDocument(measurements)) }),
    };
    const documents = await readDocuments(flags);
    if (documents.length > 0 && args.length > 0) throw new UsageError("advise takes an image or a document, not both", "Leave one of them out.");
    if (documents.length === 0) {
      const advice = await client.advisor.advise({ ...question, ...(args[0] === undefined ? {} : { image: args[0] }) });
      if (flags.on("json")) printLine(JSON.stringify(advice, undefined, 2));
      else print(renderAdvice(advice));
      return advice.recommendation === null ? 1 : 0;
    }
    const workloads = (await Promise.all(documents.map((document) => client.advisor.adviseDocument({ ...question, document })))).flat();
    if (flags.on("json")) printLine(JSON.stringify({ schemaVersion: 1, workloads }, undefined, 2));
    else print(workloads.map((advice) => `${colour(clean(advice.name), "bold")}: ${renderAdvice(advice)}`).join("\n"));
    return workloads.some(({ recommendation }) => recommendation === null) ? 1 : 0;
  },
};

type Described = Parameters<Client["advisor"]["adviseDocument"]>[0]["document"];

/** An inspect prints a list, also of one. */
async function readDocuments(flags: Flags): Promise<readonly Described[]> {
  const compose = flags.text("compose");
  const inspect = flags.text("inspect");
  const inspected = inspect === undefined ? [] : await readDocument(inspect);
  return [
    ...(compose === undefined ? [] : [{ kind: "compose", name: compose, content: await readDocument(compose) } as const]),
    ...(Array.isArray(inspected) ? inspected : [inspected]).map((content: unknown) => ({ kind: "inspect", name: "", content }) as const),
  ];
}

/** What the options say goes before the file, field by field. What is no object is left for the daemon to refuse by its path. */
function over(base: unknown, options: Readonly<Record<string, unknown>>): unknown {
  if (!isRecord(base)) return base;
  const merged: Record<string, unknown> = { ...base };
  for (const [field, value] of Object.entries(options)) {
    const known = merged[field];
    merged[field] = isRecord(known) && isRecord(value) ? { ...known, ...value } : value;
  }
  return merged;
}

/** Raw samples are for people and plots; the advisor reads summaries. */
function trim(document: unknown): unknown {
  if (!isRecord(document) || !Array.isArray(document["series"])) return document;
  const series = document["series"].map((one: unknown) => (isRecord(one) ? { ...one, samples: undefined } : one));
  return { ...document, series, claims: undefined };
}
