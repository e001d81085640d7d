/** What a workload's own description says of its needs: a service of a compose file, an inspect document. */

import { capabilityName, isApiSocket } from "../contract/privilege.ts";
import { requirementsOfLabel } from "./image.ts";
import type { Requirements } from "./requirements.ts";

/** The part of a description that says something of needs. */
export interface WorkloadFacts {
  readonly name: string;
  readonly privileged: boolean;
  /** With or without `CAP_`. */
  readonly capabilitiesAdded: readonly string[];
  readonly hostNamespaces: readonly string[];
  /** `source` is a path of the host, a volume's name, or empty for memory. */
  readonly mounts: readonly { readonly source: string }[];
  readonly devices: readonly string[];
  readonly sysctls: Readonly<Record<string, string>>;
  /** Zero: nobody said. */
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** Settings that belong to a namespace are the workload's own on every boundary. */
const NAMESPACED = /^(?:net\.|kernel\.(?:msg|sem|shm|domainname|hostname)|fs\.mqueue\.)/;

/** The label goes before what the description lets guess. Rejects INVALID_SPEC for a label that is none. */
export function requirementsOfWorkload(facts: WorkloadFacts): Requirements {
  const privileges = privilegesOf(facts);
  const sysctls = Object.keys(facts.sysctls).filter((name) => !NAMESPACED.test(name));
  const size = { ...(facts.memoryBytes > 0 ? { memoryBytes: facts.memoryBytes } : {}), ...(facts.cpus > 0 ? { cpus: facts.cpus } : {}) };
  return {
    name: facts.name,
    privileges,
    ...(facts.mounts.some(({ source }) => source !== "" && !isApiSocket(source)) ? { state: "volume" } : {}),
    ...(Object.keys(size).length === 0 ? {} : { size }),
    ...(sysctls.length === 0 ? {} : { kernel: { sysctls } }),
    ...requirementsOfLabel(facts.labels, `the label of ${facts.name}`),
  };
}

/** In the words of the requirements' schema, whoever asks for them in whatever document. An engine's own socket has every privilege. */
export function privilegesOf(facts: Pick<WorkloadFacts, "privileged" | "capabilitiesAdded" | "hostNamespaces" | "mounts" | "devices">): readonly string[] {
  const { privileged, capabilitiesAdded, hostNamespaces, mounts, devices } = facts;
  const paths = mounts.map(({ source }) => source).filter((source) => source.startsWith("/"));
  return [
    ...(privileged ? ["privileged"] : []),
    ...capabilitiesAdded.map((name) => `CAP_${capabilityName(name)}`),
    ...hostNamespaces.map((name) => `host-${name}`),
    ...paths.map((path) => (isApiSocket(path) ? "docker.sock" : `host-path:${path}`)),
    ...devices.map((device) => `device:${device}`),
  ];
}
