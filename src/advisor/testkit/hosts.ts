/** Hosts for tests: one as developers rent them (no usable KVM), one as providers run them. */

import type { Host, HostBoundary } from "../host.ts";

const here = (engine: string, emulated = false): HostBoundary => ({ usable: true, engine, version: "1.0", emulated });

/** A cloud instance without usable virtualisation: machines are emulated. */
export const EMULATING: Host = {
  architecture: "amd64",
  kernel: "6.1.0-30-amd64",
  memoryBytes: 16e9,
  processors: 4,
  boundaries: {
    wasm: here("wasmtime"),
    container: here("crun"),
    gvisor: here("runsc"),
    microvm: here("qemu", true),
    vm: here("qemu", true),
  },
  confidential: false,
  gpu: false,
  realtime: false,
  nestedVirtualisation: false,
  allowEmulated: false,
  assumed: {},
  unmeasured: [],
};

/** A server with usable KVM. */
export const VIRTUALISING: Host = {
  ...EMULATING,
  memoryBytes: 64e9,
  processors: 16,
  boundaries: { ...EMULATING.boundaries, microvm: here("qemu"), vm: here("qemu") },
};
