/**
 * The policy file: one demand for everybody, and rules that add further ones for what they match. A rule can only add: nothing that a caller
 * says about itself takes a demand away.
 */

import { BOUNDARY_KINDS, type BoundaryKind } from "../contract/boundary.ts";
import { Failure, quote } from "../contract/failure.ts";
import { parsePrivilege, PRIVILEGE_NAMES } from "./privileges.ts";
import { FLOOR_NAMES } from "./traits.ts";

export const LIMIT_NAMES = ["memory", "cpus", "pids", "disk"] as const;
export type LimitName = (typeof LIMIT_NAMES)[number];

export interface Demands {
  /** Traits, or names of boundaries as shorthand. */
  readonly floor?: readonly string[];
  readonly forbid?: readonly string[];
  readonly requireLimits?: readonly LimitName[];
  /** The least version of an engine, by its name: `runsc: "20240408"`. */
  readonly minimumVersions?: Readonly<Record<string, string>>;
}

export interface Match {
  /** Patterns with `*`, of any of the image's names: tags, digests, id. Tags can be taken away by whoever may tag: see `except`. */
  readonly image?: readonly string[];
  /** Registries that any of the image's names are of. */
  readonly registry?: readonly string[];
  /** Labels that must all be there, with `*` in the value. */
  readonly label?: Readonly<Record<string, string>>;
  readonly uid?: readonly number[];
  readonly gid?: readonly number[];
  /** Paths of sockets that the request came by. */
  readonly socket?: readonly string[];
}

/** Who is left out of a rule: only what a caller cannot claim, which is what it really is. */
export interface Exception {
  readonly digest?: readonly string[];
  readonly uid?: readonly number[];
  readonly gid?: readonly number[];
  readonly socket?: readonly string[];
}

export interface PolicyRule extends Demands {
  readonly name: string;
  readonly match?: Match;
  readonly except?: Exception;
}

export interface Policy extends Demands {
  readonly schemaVersion: 1;
  /** Whether an emulated machine counts as the machine that it imitates. False unless said. */
  readonly allowEmulated?: boolean;
  /** What may stand in for a boundary that a host does not have, the first that can first. Never below the floor. Without it nothing does. */
  readonly fallback?: Readonly<Partial<Record<BoundaryKind, readonly BoundaryKind[]>>>;
  readonly rules?: readonly PolicyRule[];
}

/** Nothing is demanded: the policy of a host without a file. */
export const OPEN_POLICY: Policy = { schemaVersion: 1 };

const DEMANDS = ["floor", "forbid", "requireLimits", "minimumVersions"];

/** JSON or YAML. Rejects INVALID_SPEC with line and column. */
export async function parsePolicy(text: string, file: string): Promise<Policy> {
  // Loaded by who has a policy: it takes megabytes.
  const { LineCounter, parseDocument } = await import("yaml");
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, schema: "core" });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    throw refusal(file, `${line}:${col}`, error.message.split("\n")[0] ?? "it is not YAML");
  }
  const at = (path: readonly (string | number)[]): string => {
    for (let length = path.length; length >= 0; length--) {
      const node = document.getIn(path.slice(0, length), true) as { range?: readonly number[] } | undefined;
      if (node?.range?.[0] !== undefined) return `${lines.linePos(node.range[0]).line}:${lines.linePos(node.range[0]).col}`;
    }
    return "1:1";
  };
  const fail: Fail = (path, what) => {
    throw refusal(file, at(path), what);
  };
  return checkPolicy(document.toJS({ maxAliasCount: 50 }) as unknown, fail);
}

type Path = readonly (string | number)[];
type Fail = (path: Path, what: string) => never;

function refusal(file: string, place: string, what: string): Failure {
  return new Failure("INVALID_SPEC", `the policy ${file}:${place}: ${what}`, {
    remedy: "mend it (docs/schema/policy.json); until then nothing new is allowed",
  });
}

function checkPolicy(value: unknown, fail: Fail): Policy {
  const policy = object(value, [], ["schemaVersion", "allowEmulated", "fallback", "rules", ...DEMANDS], fail);
  if (policy["schemaVersion"] !== 1) fail(["schemaVersion"], "schemaVersion must be 1");
  if (policy["allowEmulated"] !== undefined && typeof policy["allowEmulated"] !== "boolean") fail(["allowEmulated"], "allowEmulated must be true or false");
  checkFallback(policy["fallback"], fail);
  checkDemands(policy, [], fail);
  const names = new Set<string>();
  for (const [index, item] of list(policy["rules"], ["rules"], fail).entries()) {
    const path = ["rules", index];
    const rule = object(item, path, ["name", "match", "except", ...DEMANDS], fail);
    if (typeof rule["name"] !== "string" || rule["name"] === "") fail([...path, "name"], "a rule needs a name, for the refusals that it causes");
    if (names.has(rule["name"] as string)) fail([...path, "name"], `two rules are called ${quote(rule["name"] as string)}`);
    names.add(rule["name"] as string);
    checkDemands(rule, path, fail);
    if (rule["match"] !== undefined) checkMatch(rule["match"], [...path, "match"], ["image", "registry", "label", "uid", "gid", "socket"], fail);
    if (rule["except"] !== undefined) checkMatch(rule["except"], [...path, "except"], ["digest", "uid", "gid", "socket"], fail);
  }
  return policy as unknown as Policy;
}

function checkFallback(value: unknown, fail: Fail): void {
  if (value === undefined) return;
  for (const [asked, chain] of Object.entries(object(value, ["fallback"], BOUNDARY_KINDS, fail)))
    for (const [index, item] of list(chain, ["fallback", asked], fail).entries())
      if (item === asked || !BOUNDARY_KINDS.some((kind) => kind === item))
        fail(["fallback", asked, index], `${quote(String(item))} cannot stand in for ${asked}; known are ${BOUNDARY_KINDS.join(", ")}`);
}

function checkDemands(given: Readonly<Record<string, unknown>>, path: Path, fail: Fail): void {
  const each = (field: string, allowed: (text: string) => boolean, known: readonly string[]): void => {
    for (const [index, item] of list(given[field], [...path, field], fail).entries())
      if (typeof item !== "string" || !allowed(item)) fail([...path, field, index], `${quote(String(item))} is not known here; known are ${known.join(", ")}`);
  };
  each("floor", (text) => FLOOR_NAMES.includes(text), FLOOR_NAMES);
  each("forbid", (text) => parsePrivilege(text) !== undefined, PRIVILEGE_NAMES);
  each("requireLimits", (text) => LIMIT_NAMES.some((name) => name === text), LIMIT_NAMES);
  const versions = given["minimumVersions"];
  if (versions === undefined) return;
  const place = [...path, "minimumVersions"];
  for (const [engine, version] of Object.entries(object(versions, place, undefined, fail)))
    if (typeof version !== "string" || !/\d/.test(version)) fail([...place, engine], "a least version must be a text with digits, in quotes");
}

function checkMatch(value: unknown, path: Path, known: readonly string[], fail: Fail): void {
  const match = object(value, path, known, fail);
  if (Object.keys(match).length === 0) fail(path, `it is empty: it takes ${known.join(", ")}`);
  for (const [field, content] of Object.entries(match)) {
    const place = [...path, field];
    if (field === "label") {
      for (const [label, pattern] of Object.entries(object(content, place, undefined, fail)))
        if (typeof pattern !== "string") fail([...place, label], "a label's pattern must be a text");
      continue;
    }
    const numeric = field === "uid" || field === "gid";
    const items = list(content, place, fail);
    if (items.length === 0) fail(place, "it is empty and would match nothing");
    for (const [index, item] of items.entries()) {
      if (numeric && !(typeof item === "number" && Number.isInteger(item) && item >= 0)) fail([...place, index], `a ${field} must be a whole number`);
      if (!numeric && (typeof item !== "string" || item === "")) fail([...place, index], "it must be a text");
      if (field === "digest" && !/^sha256:[0-9a-f]{64}$/.test(String(item))) fail([...place, index], "it must be sha256: and 64 digits");
    }
  }
}

function object(value: unknown, path: Path, known: readonly string[] | undefined, fail: Fail): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return fail(path, "it must be a mapping of names to values");
  for (const name of Object.keys(value))
    if (known !== undefined && !known.includes(name)) fail([...path, name], `${quote(name)} is not known here; known are ${known.join(", ")}`);
  return value as Readonly<Record<string, unknown>>;
}

function list(value: unknown, path: Path, fail: Fail): readonly unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly unknown[]) : fail(path, "it must be a list");
}
