/** `-f name=value`, any number of times: alternatives for one key, conditions between keys. */

import type { Filters } from "../../sdk/src/index.ts";
import { UsageError, type OptionDefinition } from "./command.ts";

export const FILTER_OPTION: OptionDefinition = {
  name: "filter",
  short: "f",
  kind: "list",
  value: "key=value",
  help: "Only what matches: name=web, status=exited, label=team",
};

/** Without its letter, where `-f` is `--force`. */
export const LONG_FILTER_OPTION: OptionDefinition = { name: "filter", kind: "list", value: "key=value", help: FILTER_OPTION.help };

export function parseFilters(words: readonly string[]): Filters {
  const filters: Record<string, string[]> = {};
  for (const word of words) {
    const equals = word.indexOf("=");
    if (equals <= 0) throw new UsageError(`a filter is key=value, not ${JSON.stringify(word)}`);
    (filters[word.slice(0, equals).trim().toLowerCase()] ??= []).push(word.slice(equals + 1).trim());
  }
  return filters;
}
