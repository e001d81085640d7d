/** `-e`, `--env-file`, `--label`, `--label-file` and other `name=value` pairs. */

import type { Failure } from "../../../sdk/src/index.ts";
import { UsageError } from "../command.ts";
import { readGivenBytes } from "../given-file.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** `NAME=value` as it is; `NAME` alone takes the caller's own value, and is left out where there is none. */
export function parseVariables(words: readonly string[], environment: Environment): string[] {
  return words.flatMap((word) => {
    if (word === "" || word.startsWith("="))
      throw new UsageError(`${JSON.stringify(word)} is no environment variable`, "write NAME=value, or NAME to pass your own on");
    if (word.includes("=")) return [word];
    const own = environment[word];
    return own === undefined ? [] : [`${word}=${own}`];
  });
}

/** Lines of `NAME=value` or `NAME`; `#` begins a comment line, blanks before a name are dropped, values stay as they are. */
export function parseVariableFile(text: string, path: string, environment: Environment): string[] {
  return text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .flatMap((raw, index) => {
      const line = raw.replace(/\r$/, "").trimStart();
      if (line === "" || line.startsWith("#")) return [];
      const name = line.split("=", 1)[0] ?? "";
      if (name === "" || /\s/.test(name)) throw new UsageError(`${path}, line ${index + 1}: ${JSON.stringify(name)} is no variable's name`);
      return parseVariables([line], environment);
    });
}

export function readVariableFile(path: string, environment: Environment): string[] {
  return parseVariableFile(readText(path, "--env-file"), path, environment);
}

/** `key=value` pairs; a key alone has an empty value; later ones win. */
export function parsePairs(words: readonly string[], option: string): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const word of words) {
    const equals = word.indexOf("=");
    const key = equals < 0 ? word : word.slice(0, equals);
    if (key === "") throw new UsageError(`${option} takes name=value, not ${JSON.stringify(word)}`);
    pairs[key] = equals < 0 ? "" : word.slice(equals + 1);
  }
  return pairs;
}

/** A file that an option names; a file that cannot be read is the caller's mistake. */
export function readText(path: string, option: string): string {
  try {
    return readGivenBytes(path).toString("utf8");
  } catch (thrown) {
    const { message, remedy } = thrown as Failure;
    throw new UsageError(`${option}: ${message}`, remedy);
  }
}
