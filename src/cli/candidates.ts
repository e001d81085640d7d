/** What may stand where a shell's TAB was pressed. */

import type { Client } from "../../sdk/src/index.ts";
import type { CompletionKind, OptionDefinition } from "./command.ts";
import { findVerb, GROUPS, VERBS, wordsOfGroup } from "./verbs.ts";

interface Candidates {
  readonly words: readonly string[];
  readonly files: boolean;
}

/** The words so far without the program's name, the unfinished one last. */
export async function findCandidates(typed: readonly string[], client: Client): Promise<Candidates> {
  const current = typed.at(-1) ?? "";
  const before = typed.slice(0, -1);
  const beginning = (words: readonly string[]): Candidates => ({ words: words.filter((word) => word.startsWith(current)), files: false });
  if (before.length === 0)
    return beginning([...new Set([...Object.keys(VERBS).filter((name) => VERBS[name]?.group !== "hidden" && !name.includes(" ")), ...GROUPS, "help"])].sort());
  const found = findVerb(before);
  if (found === undefined) {
    const group = GROUPS.find((name) => name === before[0]);
    return before.length === 1 && group !== undefined ? beginning(wordsOfGroup(group)) : { words: [], files: false };
  }
  const verb = await (VERBS[found.name] as (typeof VERBS)[string]).load();
  const rest = before.slice(found.taken);
  const inline = /^--([\w-]+)=(.*)$/.exec(current);
  if (inline !== null) {
    const option = verb.options.find((one) => one.name === inline[1]);
    const { words, files } = await valuesOf(option, inline[2] ?? "", client);
    return { words: words.map((word) => `--${inline[1]}=${word}`), files };
  }
  const waiting = optionWaiting(rest, verb.options);
  if (waiting !== undefined) return valuesOf(waiting, current, client);
  if (current.startsWith("-"))
    return beginning([...verb.options.flatMap((option) => [`--${option.name}`, ...(option.short === undefined ? [] : [`-${option.short}`])]), "--help"].sort());
  if (verb.stopsAtArgument === true && countArguments(rest, verb.options) > 0) return { words: [], files: true };
  return namesOf(verb.completes, current, client);
}

/** The option whose value comes next, where the last word is one. */
function optionWaiting(words: readonly string[], options: readonly OptionDefinition[]): OptionDefinition | undefined {
  const last = words.at(-1) ?? "";
  const option = last.startsWith("--")
    ? options.find((one) => `--${one.name}` === last)
    : /^-\w+$/.test(last)
      ? options.find((one) => one.short === last.at(-1))
      : undefined;
  return option === undefined || option.kind === "flag" ? undefined : option;
}

function countArguments(words: readonly string[], options: readonly OptionDefinition[]): number {
  return words.filter((word, index) => !word.startsWith("-") && optionWaiting(words.slice(0, index), options) === undefined).length;
}

async function valuesOf(option: OptionDefinition | undefined, current: string, client: Client): Promise<Candidates> {
  if (option?.choices !== undefined) return { words: option.choices.filter((choice) => choice.startsWith(current)), files: false };
  return namesOf(option?.completes, current, client);
}

/** A daemon that does not answer has no names: a shell is not the place for its error. */
async function namesOf(kind: CompletionKind | undefined, current: string, client: Client): Promise<Candidates> {
  if (kind === "files") return { words: [], files: true };
  // Either side may be a workload's path, of which only the name is known, or one here.
  if (kind === "paths") {
    const { words } = current.includes("/") ? { words: [] } : await namesOf("workloads", current, client);
    return { words: words.map((name) => `${name}:`), files: words.length === 0 };
  }
  const signal = AbortSignal.timeout(1000);
  const list = async (): Promise<readonly string[]> => {
    if (kind === "workloads" || kind === "running")
      return (await client.workloads.list({ all: kind === "workloads", signal })).flatMap((one) => one.Names.map((name) => name.replace(/^\//, "")));
    if (kind === "images")
      return (await client.images.list({ signal })).flatMap((one) => [
        ...(one.RepoTags ?? []),
        ...(one.RepoTags ?? []).filter((tag) => tag.endsWith(":latest")).map((tag) => tag.slice(0, -":latest".length)),
      ]);
    if (kind === "volumes") return (await client.volumes.list({ signal })).map((one) => one.Name);
    if (kind === "networks") return (await client.networks.list({ signal })).map((one) => one.Name);
    return [];
  };
  const words = await list().catch(() => []);
  return { words: words.filter((word) => word.startsWith(current)).sort(), files: false };
}
