/** Help: of everything, of a group, of one verb. */

import type { Command, OptionDefinition } from "./command.ts";
import { VERBS, wordsOfGroup, type Verb } from "./verbs.ts";

const GROUP_TITLES: readonly (readonly [Verb["group"], string])[] = [
  ["workloads", "Workloads"],
  ["images", "Images"],
  ["host", "Host"],
  ["resources", "Volumes, networks, clean-up"],
];

export function showHelp(): string {
  const lines = ["Usage: bulkhead [--host unix:///PATH] VERB [OPTIONS] …", "", "One OCI image, any isolation boundary, chosen per run.", ""];
  for (const [group, title] of GROUP_TITLES) {
    lines.push(`${title}:`);
    for (const [name, verb] of Object.entries(VERBS)) if (verb.group === group) lines.push(`  ${name.padEnd(17)} ${verb.summary}`);
    lines.push("");
  }
  lines.push(
    "Examples:",
    "  bulkhead doctor",
    "  bulkhead run --rm busybox echo hello",
    "  bulkhead run --rm --isolation microvm busybox uname -r",
    "",
    "`bulkhead VERB --help` tells more of a verb. BULKHEAD_HOST names the daemon's socket; NO_COLOR turns colours off.",
  );
  return lines.join("\n");
}

export function showGroupHelp(group: string): string {
  const words = wordsOfGroup(group);
  return [`Usage: bulkhead ${group} ${words.join("|")} …`, "", `\`bulkhead ${group} ${words[0]} --help\` tells more of one of them.`].join("\n");
}

export function showCommandHelp(name: string, command: Command): string {
  const lines = [`Usage: bulkhead ${name} ${command.usage}`];
  if (command.description !== undefined) lines.push("", ...wrap(command.description, 100));
  if (command.options.length > 0) {
    lines.push("", "Options:");
    const heads = command.options.map(optionHead);
    const width = Math.min(36, Math.max(...heads.map((head) => head.length)));
    command.options.forEach((option, index) => {
      const head = heads[index] ?? "";
      const text = optionText(option);
      if (head.length <= width) lines.push(`  ${head.padEnd(width)}  ${text}`);
      else lines.push(`  ${head}`, `  ${" ".repeat(width)}  ${text}`);
    });
  }
  if ((command.examples ?? []).length > 0) {
    lines.push("", "Examples:");
    for (const example of command.examples ?? []) lines.push(`  ${example.command}`, `      ${example.says}`);
  }
  return lines.join("\n");
}

export function optionHead(option: OptionDefinition): string {
  const short = option.short === undefined ? "    " : `-${option.short}, `;
  return `${short}--${option.name}${option.kind === "flag" ? "" : ` ${option.value ?? "value"}`}`;
}

export function optionText(option: OptionDefinition): string {
  const extra = [
    option.choices === undefined ? undefined : option.choices.join("|"),
    option.initially === undefined ? undefined : `default ${option.initially}`,
    option.kind === "list" ? "may be repeated" : undefined,
  ].filter((part) => part !== undefined);
  return extra.length === 0 ? option.help : `${option.help} (${extra.join("; ")})`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + word.length + 1 > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
