/** Docker's `filters` parameter: a JSON object of lists, or of maps to true as its own client sends it. */

import { Failure, quote } from "../../contract/failure.ts";

export class Filters {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  /** Rejects INVALID_SPEC where the text is not such an object or names a filter that is not known here. */
  constructor(text: string | undefined, known: readonly string[]) {
    this.#values = parse(text);
    for (const name of this.#values.keys()) if (!known.includes(name)) throw new Failure("INVALID_SPEC", `invalid filter ${quote(name)}`);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  values(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** True where the filter was not given, or one of its values fits. */
  any(name: string, fits: (value: string) => boolean): boolean {
    const values = this.#values.get(name);
    return values === undefined || values.some(fits);
  }

  /** True where every value of `label` or `label!` is met: `key` or `key=value`. */
  labels(labels: Readonly<Record<string, string>>): boolean {
    return this.values("label").every((wanted) => hasLabel(labels, wanted)) && this.values("label!").every((unwanted) => !hasLabel(labels, unwanted));
  }

  /** A filter that is true or false; rejects INVALID_SPEC for anything else. */
  flag(name: string): boolean | undefined {
    const value = this.values(name)[0];
    if (value === undefined) return undefined;
    if (["1", "true"].includes(value.toLowerCase())) return true;
    if (["0", "false"].includes(value.toLowerCase())) return false;
    throw new Failure("INVALID_SPEC", `invalid filter '${name}=[${value}]'`);
  }
}

function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const mark = wanted.indexOf("=");
  if (mark < 0) return Object.hasOwn(labels, wanted);
  return labels[wanted.slice(0, mark)] === wanted.slice(mark + 1);
}

function parse(text: string | undefined): ReadonlyMap<string, readonly string[]> {
  if (text === undefined) return new Map();
  const wrong = () => new Failure("INVALID_SPEC", `invalid filter: ${quote(text)} is not a JSON object of lists`);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw wrong();
  }
  if (typeof document !== "object" || document === null || Array.isArray(document)) throw wrong();
  const values = new Map<string, readonly string[]>();
  for (const [name, given] of Object.entries(document)) {
    if (Array.isArray(given) && given.every((value) => typeof value === "string")) values.set(name, given);
    else if (typeof given === "object" && given !== null && !Array.isArray(given)) {
      values.set(
        name,
        Object.entries(given)
          .filter(([, on]) => on === true)
          .map(([value]) => value),
      );
    } else throw wrong();
  }
  return values;
}

/**
 * Filters on names take a substring or a simple regular expression: anchors, dots, alternatives, at most two stars. Anything
 * richer is taken literally, because an expression of a client's choosing could keep the daemon busy for hours.
 */
export function matchesName(pattern: string, name: string): boolean {
  const simple = /^[\w.\-/^$|*]{1,200}$/.test(pattern) && pattern.split("*").length <= 3;
  if (!simple || /(^|[|^])\*|\*\*/.test(pattern)) return name.includes(pattern);
  return new RegExp(pattern).test(name);
}
