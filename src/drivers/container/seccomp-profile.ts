/** A user's seccomp profile in Docker's form, read strictly: what cannot be taken as it is written would be a weaker filter than asked for. */

import { Failure } from "../../contract/failure.ts";

interface Condition {
  readonly caps?: readonly string[] | null;
  readonly arches?: readonly string[] | null;
  readonly minKernel?: string | null;
}

export interface ProfileSyscall {
  readonly name?: string | null;
  readonly names?: readonly string[] | null;
  readonly action: string;
  readonly errnoRet?: number | null;
  readonly args?: readonly unknown[] | null;
  readonly includes?: Condition | null;
  readonly excludes?: Condition | null;
}

export interface Profile {
  readonly defaultAction?: string | null;
  readonly defaultErrnoRet?: number | null;
  readonly architectures?: readonly string[] | null;
  readonly archMap?: readonly { readonly architecture: string; readonly subArchitectures?: readonly string[] | null }[] | null;
  readonly flags?: readonly string[] | null;
  readonly syscalls?: readonly ProfileSyscall[] | null;
}

/** What a field must be where it is given; null is "not given", as Docker reads it. */
type Check = (value: unknown, field: string) => void;

const refuse = (field: string, what: string): never => {
  throw new Failure("INVALID_SPEC", `The seccomp profile's ${field} is not ${what}`);
};

const text: Check = (value, field) => {
  if (value != null && typeof value !== "string") refuse(field, "a string");
};

const number: Check = (value, field) => {
  if (value != null && !(typeof value === "number" && Number.isSafeInteger(value) && value >= 0)) refuse(field, "a whole number");
};

const list =
  (item: Check): Check =>
  (value, field) => {
    if (value == null) return;
    if (!Array.isArray(value)) return refuse(field, "a list");
    for (const one of value) {
      if (one == null) refuse(field, "a list without gaps");
      item(one, field);
    }
  };

const object =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value, field) => {
    if (value == null) return;
    if (typeof value !== "object" || Array.isArray(value)) return refuse(field, "an object");
    for (const [name, check] of Object.entries(fields)) check((value as Record<string, unknown>)[name], name);
  };

const CONDITION = object({ caps: list(text), arches: list(text), minKernel: text });

const FIELDS = object({
  defaultAction: text,
  defaultErrnoRet: number,
  architectures: list(text),
  archMap: list(object({ architecture: text, subArchitectures: list(text) })),
  flags: list(text),
  syscalls: list(
    object({
      name: text,
      names: list(text),
      action: text,
      errnoRet: number,
      args: list(object({ index: number, op: text })),
      includes: CONDITION,
      excludes: CONDITION,
    }),
  ),
});

/** Rejects INVALID_SPEC for what is no profile. */
export function readProfile(json: string): Profile {
  let profile: unknown;
  try {
    profile = JSON.parse(json, keepWords);
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    throw new Failure("INVALID_SPEC", "The seccomp profile is not JSON", { remedy: "Give the profile's JSON text, or unconfined", cause });
  }
  if (typeof profile !== "object" || profile === null || Array.isArray(profile)) throw new Failure("INVALID_SPEC", "The seccomp profile is not a JSON object");
  FIELDS(profile, "text");
  return profile as Profile;
}

const LARGEST_WORD = 2n ** 64n - 1n;

/** ECMAScript's JSON.parse source text access, which TypeScript's library does not know yet. */
const raw = JSON as unknown as { rawJSON(text: string): unknown };

/** What a call's argument is compared with has 64 bits, of which a number here would keep 53: it goes on as it is written. */
function keepWords(key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if ((key !== "value" && key !== "valueTwo") || value === null) return value;
  const written = typeof value === "number" ? (context?.source ?? "") : "";
  if (!/^\d+$/.test(written) || BigInt(written) > LARGEST_WORD) return refuse(key, "a whole number of 64 bits");
  return Number.isSafeInteger(value) ? value : raw.rawJSON(written);
}
