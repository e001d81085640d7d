/**
 * What each boundary can do at all, as the textbooks have it, and what a host adds or takes away. Hard rules ask for abilities; a boundary
 * that lacks one is ruled out. Names of boundaries appear in this table and nowhere in the rules.
 */

import type { BoundaryKind } from "../contract/boundary.ts";
import { type Host, KINDS } from "./host.ts";

export type Ability =
  // Walls: facts that security requirements ask for. An emulated machine has none of them unless the policy says otherwise.
  | "system-call-wall" // something else than the host's kernel answers the workload's system calls
  | "machine-wall" // a processor's virtualisation stands between the workload and the host's kernel
  | "memory-encryption" // what is inside cannot be read by the host's owner
  // Forms of artifact
  | "oci-image"
  | "disk-image"
  | "wasm-module"
  // What the workload may be
  | "any-os"
  | "any-architecture"
  | "own-kernel"
  | "linux-kernel" // a real one, whose version means what it says
  | "chosen-kernel"
  | "kernel-modules"
  | "kernel-settings"
  | "ebpf"
  | "realtime"
  | "gpu"
  | "host-devices"
  | "docker-inside"
  | "machine-inside";

interface Entry {
  /** On any host. */
  readonly always: readonly Ability[];
  /** Where the host has what it takes. */
  readonly where: (host: Host, hardware: boolean) => readonly (Ability | false)[];
}

const MACHINE: readonly Ability[] = ["linux-kernel", "own-kernel", "chosen-kernel", "kernel-modules", "kernel-settings", "ebpf", "docker-inside"];

const TABLE: Readonly<Record<BoundaryKind, Entry>> = {
  wasm: { always: ["system-call-wall", "wasm-module", "any-architecture", "any-os"], where: () => [] },
  container: { always: ["oci-image", "linux-kernel", "host-devices"], where: (host) => [host.realtime && "realtime", host.gpu && "gpu"] },
  // Its GPU support covers some drivers only; the advice says so.
  gvisor: { always: ["system-call-wall", "oci-image"], where: (host) => [host.gpu && "gpu"] },
  // Without PCI there is nothing that a GPU could be handed in by.
  microvm: {
    always: [...MACHINE, "oci-image"],
    where: (host, hardware) => [...walls(host, hardware), hardware && host.nestedVirtualisation && "machine-inside"],
  },
  vm: {
    always: [...MACHINE, "oci-image", "disk-image", "any-os", "any-architecture"],
    where: (host, hardware) => [
      ...walls(host, hardware),
      hardware && host.confidential && "memory-encryption",
      hardware && host.nestedVirtualisation && "machine-inside",
      hardware && host.gpu && "gpu",
      hardware && "host-devices",
    ],
  },
};

function walls(host: Host, hardware: boolean): readonly (Ability | false)[] {
  const counts = hardware || host.allowEmulated;
  return [counts && "system-call-wall", counts && "machine-wall"];
}

/** A boundary as this workload would meet it on this host. */
export interface Candidate {
  readonly boundary: BoundaryKind;
  readonly engine: string;
  readonly version: string;
  readonly emulated: boolean;
  readonly abilities: ReadonlySet<Ability>;
  /** Set where the host cannot run it. */
  readonly absent?: string;
}

/** A guest of another architecture is emulated even where virtualisation is usable: processors virtualise only themselves. */
export function listCandidates(host: Host, foreignArchitecture: boolean): Candidate[] {
  return KINDS.map((boundary) => {
    const { usable, engine, version, emulated: slow, because, remedy } = host.boundaries[boundary];
    const isMachine = TABLE[boundary].always.includes("own-kernel");
    const emulated = isMachine && (slow || foreignArchitecture);
    const abilities = new Set<Ability>(TABLE[boundary].always);
    for (const ability of TABLE[boundary].where(host, isMachine && !emulated)) if (ability !== false) abilities.add(ability);
    const why = `this host cannot run it: ${because ?? "no probe found it usable"}${remedy === undefined ? "" : ` (${remedy})`}`;
    return { boundary, engine, version, emulated, abilities, ...(usable ? {} : { absent: why }) };
  });
}

/** The walls of a candidate: what a stronger demand may add to and never takes away from. */
export function wallsOf(candidate: Candidate): readonly Ability[] {
  return (["system-call-wall", "machine-wall", "memory-encryption"] as const).filter((wall) => candidate.abilities.has(wall));
}
