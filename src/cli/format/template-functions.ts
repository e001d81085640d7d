/** The functions of `--format`, with Go's and Docker's meanings. */

import { UsageError } from "../command.ts";

/** Go's truth: not false, 0, nil, or empty. */
export function isTrue(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === 0 || value === "") return false;
  if (Array.isArray(value)) return value.length > 0;
  return typeof value === "object" ? Object.keys(value).length > 0 : true;
}

/** As Go's template engine prints a value. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return "<no value>";
  if (Array.isArray(value)) return `[${value.map(show).join(" ")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value).filter(([, one]) => typeof one !== "function");
    return `map[${entries
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, one]) => `${key}:${show(one)}`)
      .join(" ")}]`;
  }
  return String(value as string | number | boolean);
}

function list(value: unknown, name: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new UsageError(`${name} takes a list, not ${show(value).slice(0, 60)}`);
  return value;
}

function compare(left: unknown, right: unknown): number {
  if (typeof left === "number" && typeof right === "number") return left - right;
  const [one, other] = [show(left), show(right)];
  return one < other ? -1 : one > other ? 1 : 0;
}

function index(container: unknown, ...keys: readonly unknown[]): unknown {
  let here = container;
  for (const key of keys) {
    if (here === undefined || here === null) return undefined;
    if (Array.isArray(here)) {
      if (typeof key !== "number" || key < 0 || key >= here.length) throw new UsageError(`index ${show(key)} is outside a list of ${here.length}`);
      here = here[key];
    } else if (typeof here === "object") here = (here as Record<string, unknown>)[show(key)];
    else throw new UsageError(`index cannot look into ${show(here).slice(0, 60)}`);
  }
  return here;
}

function printf(format: unknown, ...values: readonly unknown[]): string {
  let next = 0;
  return show(format).replace(/%-?\d*(?:\.\d+)?[%svdqfxt]/g, (whole) => {
    const [, left = "", width = "", digits, verb = ""] = /^%(-?)(\d*)(?:\.(\d+))?(.)$/.exec(whole) ?? [];
    if (verb === "%") return "%";
    const value = values[next++];
    let text = show(value);
    if (verb === "q") text = JSON.stringify(text);
    else if (verb === "x") text = Number(value).toString(16);
    else if (verb === "f") text = Number(value).toFixed(digits === undefined ? 6 : Number(digits));
    else if (verb === "s" && digits !== undefined) text = text.slice(0, Number(digits));
    return left === "" ? text.padStart(Number(width)) : text.padEnd(Number(width));
  });
}

export const FUNCTIONS: Readonly<Record<string, (...values: readonly unknown[]) => unknown>> = {
  json: (value) => JSON.stringify(value ?? null),
  join: (values, separator) => list(values, "join").map(show).join(show(separator)),
  split: (text, separator) => show(text).split(show(separator)),
  upper: (text) => show(text).toUpperCase(),
  lower: (text) => show(text).toLowerCase(),
  title: (text) => show(text).replace(/(^|\s)\S/g, (start) => start.toUpperCase()),
  truncate: (text, length) => show(text).slice(0, Number(length)),
  pad: (text, before, after) => " ".repeat(Number(before)) + show(text) + " ".repeat(Number(after)),
  print: (...values) => values.map(show).join(""),
  println: (...values) => `${values.map(show).join(" ")}\n`,
  printf,
  len: (value) =>
    typeof value === "string" || Array.isArray(value) ? value.length : typeof value === "object" && value !== null ? Object.keys(value).length : 0,
  index,
  eq: (first, ...others) => others.some((other) => compare(first, other) === 0),
  ne: (left, right) => compare(left, right) !== 0,
  lt: (left, right) => compare(left, right) < 0,
  le: (left, right) => compare(left, right) <= 0,
  gt: (left, right) => compare(left, right) > 0,
  ge: (left, right) => compare(left, right) >= 0,
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
  not: (value) => !isTrue(value),
};
