/**
 * The program, but for its quickest answers (`main.ts`). It finds the verb, reads its options, does it, and ends with its exit code.
 *
 *     parse global options ─▶ find verb ─▶ load its file ─▶ parse its options ─▶ run ─▶ exit code
 */

import { Client } from "../../sdk/src/client.ts";
import { findClose } from "./close-word.ts";
import { UsageError, type Command } from "./command.ts";
import { parseFlags } from "./flags.ts";
import { print, printLine, tell } from "./output.ts";
import { exitCodeOf, reportFailure } from "./report.ts";
import { CLIENT_VERSION } from "./version.ts";
import { findVerb, GROUPS, VERBS } from "./verbs.ts";

interface Start {
  readonly host: string | undefined;
  readonly words: readonly string[];
}

/** Options that stand before the verb. */
function readGlobals(argv: readonly string[]): Start {
  let host: string | undefined;
  let at = 0;
  for (; at < argv.length; at++) {
    const word = argv[at] as string;
    if (word === "-H" || word === "--host") host = argv[++at];
    else if (word.startsWith("--host=")) host = word.slice("--host=".length);
    else break;
    if (host === undefined || host === "") throw new UsageError("--host needs a socket, as in --host unix:///run/bulkhead/bulkhead.sock");
  }
  return { host, words: argv.slice(at) };
}

/** Resolves with the exit code; what went wrong has been told. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  try {
    return await main(argv);
  } catch (thrown) {
    reportFailure(thrown, undefined);
    return exitCodeOf(thrown, 1);
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const { host, words } = readGlobals(argv);
  const [first = ""] = words;
  if (first === "--version" || first === "-v") {
    printLine(`bulkhead version ${CLIENT_VERSION}`);
    return 0;
  }
  if (first === "" || first === "help" || first === "--help" || first === "-h") return help(words.slice(1));
  if (first === "__complete") return complete(words.slice(1), host);
  const found = findVerb(words);
  if (found === undefined) return unknown(words);
  const command = await (VERBS[found.name] as (typeof VERBS)[string]).load();
  return perform(found.name, command, words.slice(found.taken), host);
}

async function perform(name: string, command: Command, words: readonly string[], host: string | undefined): Promise<number> {
  // What another program reads is handed on as it is: its own help included.
  const foreign = name === "compare";
  try {
    const { flags, args, help: wantsHelp } = foreign ? { ...parseFlags([], []), args: words } : parseFlags(words, command.options, command.stopsAtArgument);
    if (wantsHelp) {
      const { showCommandHelp } = await import("./help.ts");
      printLine(showCommandHelp(name, command));
      return 0;
    }
    if (args.length < command.least)
      throw new UsageError(`${name} needs ${command.least === 1 ? "an argument" : `${command.least} arguments`}: bulkhead ${name} ${command.usage}`);
    if (command.most !== undefined && args.length > command.most)
      throw new UsageError(`${name} does not take ${JSON.stringify(args[command.most])}: bulkhead ${name} ${command.usage}`);
    return await command.run({ verb: name, flags, args, client: new Client({ host }) });
  } catch (thrown) {
    reportFailure(thrown, name);
    return exitCodeOf(thrown, 1);
  }
}

/** What a shell asks when TAB is pressed: a candidate a line, then whether files go as well. */
async function complete(words: readonly string[], host: string | undefined): Promise<number> {
  const { findCandidates } = await import("./candidates.ts");
  const { words: found, files } = await findCandidates(words, new Client({ host }));
  for (const word of found) printLine(word);
  printLine(files ? ":files" : ":words");
  return 0;
}

async function help(words: readonly string[]): Promise<number> {
  const { showCommandHelp, showGroupHelp, showHelp } = await import("./help.ts");
  const found = findVerb(words);
  if (found !== undefined) printLine(showCommandHelp(found.name, await (VERBS[found.name] as (typeof VERBS)[string]).load()));
  else if (GROUPS.some((group) => group === words[0])) printLine(showGroupHelp(words[0] as string));
  else print(`${showHelp()}\n`);
  return 0;
}

async function unknown(words: readonly string[]): Promise<number> {
  const [first = "", second] = words;
  const { findAbsentVerb } = await import("./absent-verbs.ts");
  const absent = findAbsentVerb(words);
  if (absent !== undefined) {
    tell(`bulkhead: ${JSON.stringify(absent.name)} is not carried out\nRemedy: ${absent.instead}`);
    return 125;
  }
  const { showGroupHelp } = await import("./help.ts");
  if (GROUPS.some((group) => group === first)) {
    const asked = second === undefined || second === "--help" || second === "-h";
    if (asked) printLine(showGroupHelp(first));
    else tell(`bulkhead: there is no verb ${JSON.stringify(`${first} ${second}`)}\nRemedy: see \`bulkhead ${first} --help\``);
    return asked ? 0 : 125;
  }
  const close = findClose(first, Object.keys(VERBS));
  tell(`bulkhead: there is no verb ${JSON.stringify(first)}${close === undefined ? "" : `; did you mean ${close}?`}\nRemedy: see \`bulkhead help\``);
  return 125;
}
