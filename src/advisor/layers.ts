/**
 * The layers as the textbooks draw them, for one workload on one host: what each is here, who shares it, and what a fault in it costs.
 * Machines virtualise the hardware, containers the operating system; that is the whole difference, and it is seen best from below.
 */

import type { BoundaryKind } from "../contract/boundary.ts";
import type { Recommendation } from "./advice.ts";
import type { Host } from "./host.ts";

export interface Layer {
  readonly layer: string;
  /** What it is on this host, for this workload. */
  readonly here: string;
  /** Who else stands on it, and what a fault in it costs. */
  readonly shared: string;
}

/** What a boundary puts between the host's kernel and the workload's libraries, from below. */
const BETWEEN: Readonly<Record<BoundaryKind, (host: Host, emulated: boolean) => readonly Layer[]>> = {
  container: () => [
    {
      layer: "container runtime",
      here: "crun: namespaces say what it sees, control groups what it takes, seccomp and capabilities what it may ask",
      shared: "nothing runs between its system calls and the host's kernel: who breaks the kernel breaks the host",
    },
  ],
  gvisor: () => [
    {
      layer: "kernel in user space",
      here: "runsc answers its system calls in a process without privilege, which itself makes few of the host's",
      shared: "its own: a fault in it costs this workload, and an escape must break it and then the host's kernel",
    },
  ],
  wasm: () => [
    {
      layer: "WebAssembly engine",
      here: "wasmtime, ahead-compiled code that can address its own memory alone; it has the files and variables that it was given",
      shared: "one runner process for each user and tenant: a fault in the engine costs that tenant's modules",
    },
  ],
  microvm: machine,
  vm: machine,
};

function machine(_host: Host, emulated: boolean): readonly Layer[] {
  const hypervisor = emulated
    ? {
        here: "QEMU imitates a processor in software, since this host has no usable KVM",
        shared: "its own process without privilege, but no wall anybody vouches for",
      }
    : {
        here: "KVM runs it on the processor, QEMU has few devices",
        shared: "its own process without privilege: an escape ends there, as a user who owns nothing",
      };
  return [
    { layer: "hypervisor", ...hypervisor },
    { layer: "guest kernel", here: "a Linux of its own", shared: "its own: a panic, or a hole that it uses, costs this machine and no neighbour" },
  ];
}

export function layersOf({ nesting }: Recommendation, host: Host): readonly Layer[] {
  const kinds = nesting.filter((name): name is BoundaryKind => name in BETWEEN);
  const outermost = kinds[0];
  const between = kinds.flatMap((kind) => BETWEEN[kind](host, host.boundaries[kind].emulated));
  const guarded = outermost !== undefined && !sharesKernel(outermost);
  return [
    {
      layer: "hardware",
      here: `${host.architecture}, ${host.processors} processors, ${(host.memoryBytes / 2 ** 30).toFixed(1)} GiB`,
      shared: host.confidential
        ? "everybody's here; the processor can keep a machine's memory from the host's owner"
        : "everybody's here, and its owner sees all of its memory",
    },
    {
      layer: "host kernel",
      here: `Linux ${host.kernel}`,
      shared: guarded
        ? "the workload does not speak to it: only what stands between does"
        : "every container's here: a panic ends them all, a hole is root on the host",
    },
    ...between,
    { layer: "libraries", here: "the image's own, whatever the boundary", shared: "pages of a common base are held once behind kernels that are shared" },
    { layer: "application", here: "the same bytes behind every boundary", shared: "its own" },
  ];
}

function sharesKernel(kind: BoundaryKind): boolean {
  return BETWEEN[kind] === BETWEEN.container;
}
