/**
 * Privileges by name, as the policy forbids them: whatever spelling asked for one, it is found in the subject here. A profile of one's own may allow as
 * much as none: who forbids `seccomp-unconfined` or `apparmor-unconfined` forbids the `-custom` ones as well, unless clients' profiles are trusted.
 */

import { capabilityName, overlaps, showsApiSocket } from "../contract/privilege.ts";
import type { PolicySubject } from "./subject.ts";

export interface Privilege {
  readonly name: string;
  /** What has it, where it has it: `host-path:/etc` names which path. */
  readonly held: string;
}

interface Named {
  readonly name: string;
  /** What follows a colon, where the name takes one. */
  readonly takes?: "a capability" | "a path";
  readonly find: (subject: PolicySubject, argument: string | undefined) => readonly string[];
}

const NAMED: readonly Named[] = [
  { name: "privileged", find: ({ security }) => (security.privileged ? ["privileged"] : []) },
  { name: "host-network", find: ({ network }) => (network === "host" ? ["network host"] : []) },
  ...["pid", "ipc", "uts", "cgroup", "user"].map(
    (namespace): Named => ({
      name: `host-${namespace}`,
      find: ({ security }) => security.hostNamespaces.filter((one) => one === namespace).map((one) => `host ${one} namespace`),
    }),
  ),
  {
    name: "capability",
    takes: "a capability",
    find: ({ security }, wanted) =>
      security.capabilitiesAdd
        .map(capabilityName)
        .filter((one) => security.privileged || wanted === undefined || one === "ALL" || one === capabilityName(wanted)),
  },
  {
    name: "device",
    takes: "a path",
    find: ({ security }, wanted) => security.devices.filter((path) => wanted === undefined || overlaps(path, wanted)),
  },
  { name: "host-path", takes: "a path", find: ({ hostPaths }, wanted) => hostPaths.filter((path) => wanted === undefined || overlaps(path, wanted)) },
  { name: "api-socket", find: ({ hostPaths }) => hostPaths.filter(showsApiSocket) },
  { name: "seccomp-unconfined", find: ({ security }) => (security.privileged || security.seccomp === "unconfined" ? ["seccomp unconfined"] : []) },
  { name: "seccomp-custom", find: ({ security }) => (typeof security.seccomp === "object" ? ["a seccomp profile of its own"] : []) },
  { name: "apparmor-unconfined", find: ({ security }) => (security.privileged || security.appArmor === "unconfined" ? ["AppArmor unconfined"] : []) },
  {
    name: "apparmor-custom",
    find: ({ security: { appArmor = "" } }) => (appArmor === "" || appArmor === "unconfined" ? [] : [`the AppArmor profile ${appArmor.slice(0, 100)}`]),
  },
  {
    name: "unmasked-paths",
    find: ({ security }) => (security.privileged ? ["privileged"] : security.unmaskedPaths.map((path) => `${path} unmasked`)),
  },
];

export const PRIVILEGE_NAMES: readonly string[] = NAMED.map(({ name, takes }) =>
  takes === undefined ? name : `${name}[:${takes === "a path" ? "PATH" : "NAME"}]`,
);

/** Undefined where the text names no privilege. */
export function parsePrivilege(text: string): { readonly name: string; readonly argument: string | undefined } | undefined {
  const at = text.indexOf(":");
  const name = at === -1 ? text : text.slice(0, at);
  const argument = at === -1 ? undefined : text.slice(at + 1);
  const known = NAMED.find((one) => one.name === name);
  if (known === undefined || (argument !== undefined && known.takes === undefined) || argument === "") return undefined;
  if (known.takes === "a path" && argument !== undefined && !argument.startsWith("/")) return undefined;
  return { name, argument };
}

/** Those of the forbidden that the subject has. Privileged has them all: what a machine-wide switch grants need not be asked for by name. */
export function findForbidden(forbidden: readonly string[], subject: PolicySubject): Privilege[] {
  return forbidden.flatMap((text) => {
    const parsed = parsePrivilege(text);
    const known = NAMED.find(({ name }) => name === parsed?.name);
    if (known === undefined || parsed === undefined) return [{ name: text, held: "a privilege that this version does not know" }];
    const held = known.find(subject, parsed.argument);
    const implied = held.length === 0 && subject.security.privileged && (known.name === "capability" || known.name === "device") ? ["privileged"] : held;
    return implied.map((one) => ({ name: text, held: one }));
  });
}
