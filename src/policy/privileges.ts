/** Privileges by name, as the policy forbids them: whatever spelling asked for one, it is found in the subject here. */

import { posix } from "node:path";
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

const SOCKETS = ["bulkhead.sock", "docker.sock", "containerd.sock", "podman.sock", "crio.sock"];
/** Directories in which those sockets usually lie: whoever is shown one of these is shown the socket. */
const SOCKET_PLACES = ["/run/bulkhead", "/run/docker.sock", "/run/containerd", "/run/podman", "/run/crio", "/var/run/docker.sock"];

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
  {
    name: "api-socket",
    find: ({ hostPaths }) =>
      hostPaths.filter((path) => SOCKETS.some((socket) => path.endsWith(`/${socket}`)) || SOCKET_PLACES.some((place) => overlaps(path, place))),
  },
  { name: "seccomp-unconfined", find: ({ security }) => (security.privileged || security.seccomp === "unconfined" ? ["seccomp unconfined"] : []) },
  { name: "seccomp-custom", find: ({ security }) => (typeof security.seccomp === "object" ? ["a seccomp profile of its own"] : []) },
  { name: "apparmor-unconfined", find: ({ security }) => (security.privileged || security.appArmor === "unconfined" ? ["AppArmor unconfined"] : []) },
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

function capabilityName(text: string): string {
  return text.toUpperCase().replace(/^CAP_/, "");
}

/** One lies at, above or below the other: showing /etc shows /etc/shadow, and showing / shows both. */
function overlaps(path: string, other: string): boolean {
  const inside = (inner: string, outer: string): boolean => outer === "/" || inner === outer || inner.startsWith(`${outer}/`);
  const [left, right] = [posix.resolve("/", path), posix.resolve("/", other)];
  return inside(left, right) || inside(right, left);
}
