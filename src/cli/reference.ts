/** The reference of every verb, from the same definitions that the parser reads. */

import { optionHead, optionText } from "./help.ts";
import { VERBS, type Verb } from "./verbs.ts";

const CHAPTERS: readonly (readonly [Verb["group"], string])[] = [
  ["workloads", "Workloads"],
  ["images", "Images"],
  ["host", "Host"],
  ["resources", "Volumes, networks, clean-up"],
];

const HEAD = `# Command line

<!-- Generated from the definitions in src/cli by \`node scripts/cli-reference.ts\`; a test compares. -->

\`bulkhead [--host unix:///PATH] VERB [OPTIONS] …\`. Options that Docker's client has mean here what they mean there. The daemon is
found by \`--host\`, then \`BULKHEAD_HOST\`, then at \`/run/bulkhead/bulkhead.sock\`; \`DOCKER_HOST\` is never read. Verbs that end or
delete anything refuse a server that is not Bulkhead.

Exit codes: the workload's own for \`run\`, \`exec\`, \`attach\` and \`start -a\` (128 + n where signal n ended it), 125 where the command line cannot
be understood or \`run\` failed, 126 for a command that cannot be run, 127 for one that does not exist, 1 for any other failure (as docker's). Errors are one
sentence on stderr, then \`Remedy: …\`.

\`--format\` takes \`json\`, \`table\`, \`table TEMPLATE\` or a Go template; functions: \`json join split upper lower title truncate pad print println
printf len index eq ne lt le gt ge and or not\`, with \`if\`, \`range\`, \`with\` and variables. Long forms such as \`container ls\`,
\`image rm\` and \`container run\` work as well. Colours and moving progress appear only on a terminal, and not where \`NO_COLOR\` is set.
`;

export async function showReference(): Promise<string> {
  const parts = [HEAD];
  for (const [group, title] of CHAPTERS) {
    parts.push(`## ${title}\n`);
    for (const [name, verb] of Object.entries(VERBS)) if (verb.group === group) parts.push(await showVerb(name, verb));
  }
  return `${parts.join("\n").trimEnd()}\n`;
}

async function showVerb(name: string, verb: Verb): Promise<string> {
  const command = await verb.load();
  const lines = [`### bulkhead ${name}`, "", command.description ?? `${verb.summary}.`, "", `    bulkhead ${name} ${command.usage}`.trimEnd()];
  if (command.options.length > 0) {
    lines.push("", "| option | |", "|---|---|");
    for (const option of command.options)
      lines.push(`| \`${optionHead(option).trim().replaceAll("|", "\\|")}\` | ${optionText(option).replaceAll("|", "\\|")} |`);
  }
  for (const example of command.examples ?? []) lines.push("", `    ${example.command}`, "", `${example.says}`);
  return `${lines.join("\n")}\n`;
}
