/** Judges a workload by a policy: which demands hold for it, and which of them it does not meet. Pure. */

import type { BoundaryIdentity } from "../contract/boundary.ts";
import { OWN_IDS } from "../contract/host-ids.ts";
import type { LimitsSpec } from "../contract/spec.ts";
import type { Demands, LimitName, Policy, PolicyRule } from "./document.ts";
import { findForbidden } from "./privileges.ts";
import type { PolicySubject } from "./subject.ts";
import { expandFloor, FLOOR_TRAITS, missingTraits } from "./traits.ts";

/** The process at the other end of a connection, as the kernel names it. */
export interface Identity {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Path of the socket that it came by. */
  readonly socket?: string;
}

/** One demand that is not met: by which rule, and what is wrong. */
export interface Violation {
  readonly rule: string;
  readonly what: string;
  readonly remedy: string;
}

/** Rules that hold for this workload of this caller; the policy's own demands are the first, without a name. */
export function rulesFor(policy: Policy, identity: Identity, subject: PolicySubject): readonly (Demands & { readonly name?: string })[] {
  return [policy, ...(policy.rules ?? []).filter((rule) => applies(rule, identity, subject))];
}

export function judge(policy: Policy, identity: Identity, subject: PolicySubject): Violation[] {
  const allowEmulated = policy.allowEmulated === true;
  return rulesFor(policy, identity, subject).flatMap((demands) => {
    const rule = demands.name ?? "the floor for all";
    return [
      ...missingTraits(expandFloor(demands.floor ?? []), subject.boundary, allowEmulated).map((trait) => ({
        rule,
        what: `${describe(subject.boundary)} lacks ${trait}: ${FLOOR_TRAITS[trait] ?? "a trait that this version does not know"}`,
        remedy: trait === OWN_IDS ? LEAVE_HOST_IDS : "ask for a boundary that has it with --isolation",
      })),
      ...findForbidden(demands.forbid ?? [], subject).map(({ name, held }) => ({
        rule,
        what: `${name} is forbidden (${held})`,
        remedy: "leave it out, or ask the operator for an exception",
      })),
      ...(demands.requireLimits ?? [])
        .filter((name) => !isLimited(subject.limits, name))
        .map((name) => ({
          rule,
          what: `a limit of ${name} must be set`,
          remedy: `give it with ${FLAGS[name]}`,
        })),
      ...outdated(demands.minimumVersions ?? {}, subject.boundary).map((what) => ({ rule, what, remedy: "update the engine, or ask for another boundary" })),
    ];
  });
}

const LEAVE_HOST_IDS =
  "leave out what goes with the host's ids (--userns=host, --privileged, the host's network, pid, ipc and cgroup namespaces, shared propagation), or ask for a boundary that has it";

const FLAGS: Readonly<Record<LimitName, string>> = { memory: "--memory", cpus: "--cpus", pids: "--pids-limit", disk: "--storage-opt size=…" };

export function isLimited(limits: LimitsSpec, name: LimitName): boolean {
  const values: Readonly<Record<LimitName, number | undefined>> = {
    memory: limits.memoryBytes,
    cpus: limits.cpus,
    pids: limits.pids,
    disk: limits.diskBytes,
  };
  return (values[name] ?? 0) > 0;
}

function applies({ match, except }: PolicyRule, identity: Identity, subject: PolicySubject): boolean {
  const groups = [identity.gid, ...identity.groups];
  const excepted =
    except !== undefined &&
    (except.digest?.includes(subject.imageId) === true ||
      except.uid?.includes(identity.uid) === true ||
      except.gid?.some((gid) => groups.includes(gid)) === true ||
      (identity.socket !== undefined && except.socket?.includes(identity.socket) === true));
  if (excepted) return false;
  if (match === undefined) return true;
  return (
    (match.image === undefined || match.image.some((pattern) => subject.imageNames.some((name) => fits(name, pattern)))) &&
    (match.registry === undefined || match.registry.some((pattern) => subject.imageNames.some((name) => fits(registryOf(name), pattern)))) &&
    Object.entries(match.label ?? {}).every(
      ([label, pattern]) => Object.hasOwn(subject.labels, label) && subject.labels[label]?.some((value) => fits(value, pattern)) === true,
    ) &&
    (match.uid === undefined || match.uid.includes(identity.uid)) &&
    (match.gid === undefined || match.gid.some((gid) => groups.includes(gid))) &&
    (match.socket === undefined || (identity.socket !== undefined && match.socket.includes(identity.socket)))
  );
}

/** `*` stands for any characters, slashes too. */
function fits(text: string, pattern: string): boolean {
  const parts = pattern.split("*");
  const [first = ""] = parts;
  if (parts.length === 1) return text === pattern;
  const last = parts.at(-1) ?? "";
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  let at = first.length;
  const end = text.length - last.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** Of a name as people write it: what stands before the first slash, where that is a host; docker.io else. An id is of none. */
function registryOf(name: string): string {
  if (/^sha256:[0-9a-f]{64}$/.test(name)) return "";
  const [first = ""] = name.split("/");
  return name.includes("/") && (/[.:]/.test(first) || first === "localhost") ? first : "docker.io";
}

function outdated(least: Readonly<Record<string, string>>, { engine, version }: BoundaryIdentity): string[] {
  const wanted = Object.hasOwn(least, engine) ? least[engine] : undefined;
  if (wanted === undefined || compareVersions(version, wanted) >= 0) return [];
  return [`${engine} is ${version === "" ? "of an unknown version" : version}, and at least ${wanted} is demanded`];
}

/** Numbers in order, whatever stands between them; leading zeros of Debian's `0.0~2022…` do not count. An unknown version is the least. */
function compareVersions(left: string, right: string): number {
  const read = (text: string): number[] => {
    const numbers = (text.match(/\d+/g) ?? []).map(Number);
    const from = numbers.findIndex((number) => number !== 0);
    return text.startsWith("0.0~") && from !== -1 ? numbers.slice(from) : numbers;
  };
  const [a, b] = [read(left), read(right)];
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = (a[index] ?? -1) - (b[index] ?? 0);
    if (difference !== 0) return a[index] === undefined && b[index] === 0 ? 0 : difference;
  }
  return 0;
}

function describe({ kind, engine, emulated }: BoundaryIdentity): string {
  return `${kind} (${engine}${emulated ? ", emulated" : ""})`;
}
