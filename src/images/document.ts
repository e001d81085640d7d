/** Reading JSON from outside: each access checked, each refusal naming the document and the field. */

import { Failure } from "../contract/failure.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** An object. Rejects CORRUPT_DATA. */
export function parseDocument(bytes: Uint8Array | string, what: string): Fields {
  return asFields(parseJson(bytes, what), what);
}

/** Any value. Rejects CORRUPT_DATA. */
export function parseJson(bytes: Uint8Array | string, what: string): unknown {
  try {
    return JSON.parse(typeof bytes === "string" ? bytes : new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new Failure("CORRUPT_DATA", `${what} is not JSON`, { cause });
  }
}

export function asFields(value: unknown, what: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new Failure("CORRUPT_DATA", `${what} is not a JSON object`);
}

export function asList(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw new Failure("CORRUPT_DATA", `${what} is not a list`);
}

export function asStrings(value: unknown, what: string): readonly string[] {
  return asList(value, what).map((item) => {
    if (typeof item === "string") return item;
    throw new Failure("CORRUPT_DATA", `${what} is not a list of strings`);
  });
}

/** A list that nobody honest makes long. Rejects CORRUPT_DATA where it has more than `most` items, before any of them is looked at. */
export function asShortList(value: unknown, what: string, most: number): readonly unknown[] {
  const list = asList(value, what);
  if (list.length > most)
    throw new Failure("CORRUPT_DATA", `${what} has ${list.length} items; ${most} are allowed`, { remedy: "split the archive or the index into smaller ones" });
  return list;
}

/** Absent, null and empty are all "not said". */
export function optionalString(value: unknown, what: string): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value === "string") return value;
  throw new Failure("CORRUPT_DATA", `${what} is not a string`);
}

export function optionalNumber(value: unknown, what: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new Failure("CORRUPT_DATA", `${what} is not a whole number`);
}

/** `{"80/tcp": {}}`: Docker's way to write a set. */
export function asSet(value: unknown, what: string): readonly string[] {
  return value === undefined || value === null ? [] : Object.keys(asFields(value, what));
}
