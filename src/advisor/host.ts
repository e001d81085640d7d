/** What the advisor knows of a host: found out by the daemon's probes, or assumed for another host by `--assume KEY=VALUE`. */

import { type BoundaryKind, BOUNDARY_KINDS } from "../contract/boundary.ts";
import { Failure } from "../contract/failure.ts";

export type Architecture = "amd64" | "arm64" | "riscv64";

/** One boundary as this host has it. */
export interface HostBoundary {
  readonly usable: boolean;
  readonly engine: string;
  readonly version: string;
  readonly emulated: boolean;
  /** Why it is not usable: the probe's finding, and the command that mends it. */
  readonly because?: string;
  readonly remedy?: string;
}

export interface Host {
  readonly architecture: Architecture;
  /** The running kernel's release. */
  readonly kernel: string;
  readonly memoryBytes: number;
  readonly processors: number;
  readonly boundaries: Readonly<Record<BoundaryKind, HostBoundary>>;
  /** The processor encrypts machines' memory against the host's owner. */
  readonly confidential: boolean;
  readonly gpu: boolean;
  /** The kernel is PREEMPT_RT. */
  readonly realtime: boolean;
  /** Machines can themselves run machines on hardware. */
  readonly nestedVirtualisation: boolean;
  /** The operator's policy takes an emulated machine for a wall. */
  readonly allowEmulated: boolean;
  /** Set by `assume`: what was given instead of found. */
  readonly assumed: Readonly<Record<string, string>>;
  /** Boundaries whose measured figures do not hold for the assumed host. */
  readonly unmeasured: readonly BoundaryKind[];
}

type Change = (host: Host, value: string) => Partial<Host> | undefined;

const yesOrNo =
  (change: (host: Host, yes: boolean) => Partial<Host>): Change =>
  (host, value) =>
    value === "yes" || value === "no" ? change(host, value === "yes") : undefined;

/** Machines as they are with or without hardware virtualisation. With it they are there: QEMU can be had on any such host. */
function withKvm(host: Host, yes: boolean): Partial<Host> {
  const machine = (known: HostBoundary): HostBoundary => (yes ? present(known, "qemu", { emulated: false }) : { ...known, emulated: true });
  const { microvm, vm } = host.boundaries;
  return {
    boundaries: { ...host.boundaries, microvm: machine(microvm), vm: machine(vm) },
    ...(yes ? {} : { nestedVirtualisation: false, confidential: false }),
    unmeasured: [...host.unmeasured, ...(microvm.emulated === yes ? (["microvm"] as const) : []), ...(vm.emulated === yes ? (["vm"] as const) : [])],
  };
}

function present(known: HostBoundary, engine: string, over: Partial<HostBoundary> = {}): HostBoundary {
  const { because: _because, remedy: _remedy, ...rest } = known;
  return { ...rest, engine: known.engine === "" ? engine : known.engine, usable: true, ...over };
}

function absent(known: HostBoundary): HostBoundary {
  return { ...known, usable: false, because: "it was assumed to be absent" };
}

const having =
  (kinds: readonly BoundaryKind[], engine: string): Change =>
  (host, value) => {
    const change = (kind: BoundaryKind): HostBoundary => {
      const known = host.boundaries[kind];
      if (value === "no") return absent(known);
      return present(known, engine, value === "yes" ? {} : { version: value });
    };
    if (value !== "no" && value !== "yes" && value !== "newest" && !/^\d/.test(value)) return undefined;
    return {
      boundaries: { ...host.boundaries, ...Object.fromEntries(kinds.map((kind) => [kind, change(kind)])) },
      unmeasured: value === "yes" ? host.unmeasured : [...host.unmeasured, ...kinds],
    };
  };

/** What may be assumed, what the value may be, and what it changes. */
export const ASSUMPTIONS: Readonly<Record<string, { readonly values: string; readonly change: Change }>> = {
  kvm: { values: "yes, no", change: yesOrNo(withKvm) },
  "sev-snp": { values: "yes, no", change: yesOrNo((host, yes) => (yes ? { ...withKvm(host, true), confidential: true } : { confidential: false })) },
  tdx: { values: "yes, no", change: yesOrNo((host, yes) => (yes ? { ...withKvm(host, true), confidential: true } : { confidential: false })) },
  nested: { values: "yes, no", change: yesOrNo((_host, yes) => ({ nestedVirtualisation: yes })) },
  gpu: { values: "yes, no", change: yesOrNo((_host, yes) => ({ gpu: yes })) },
  realtime: { values: "yes, no", change: yesOrNo((_host, yes) => ({ realtime: yes })) },
  kernel: { values: "a version, as 6.12", change: (_host, value) => (/^\d+(\.\d+)*/.test(value) ? { kernel: value } : undefined) },
  architecture: {
    values: "amd64, arm64, riscv64",
    change: (_host, value) => (value === "amd64" || value === "arm64" || value === "riscv64" ? { architecture: value } : undefined),
  },
  memory: {
    values: "a size, as 64g",
    change: (_host, value) => {
      const match = /^(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?$/i.exec(value);
      if (match === null || Number(match[1]) === 0) return undefined;
      return { memoryBytes: Number(match[1]) * 1024 ** ["", "k", "m", "g", "t"].indexOf((match[2] as string).toLowerCase()) };
    },
  },
  cpus: { values: "a number", change: (_host, value) => (/^[1-9]\d*$/.test(value) ? { processors: Number(value) } : undefined) },
  runsc: { values: "yes, no, newest, or a version", change: having(["gvisor"], "runsc") },
  crun: { values: "yes, no, or a version", change: having(["container"], "crun") },
  qemu: { values: "yes, no, or a version", change: having(["microvm", "vm"], "qemu") },
  wasm: { values: "yes, no", change: having(["wasm"], "wasmtime") },
  "allow-emulated": { values: "yes, no", change: yesOrNo((_host, yes) => ({ allowEmulated: yes })) },
};

/** The host as it would be. Throws INVALID_SPEC with what may be assumed. Later words win. */
export function assume(host: Host, words: readonly string[]): Host {
  return words.reduce((known, word) => {
    const at = word.indexOf("=");
    const key = at === -1 ? word : word.slice(0, at);
    const value = at === -1 ? "" : word.slice(at + 1);
    const entry = Object.hasOwn(ASSUMPTIONS, key) ? ASSUMPTIONS[key] : undefined;
    if (entry === undefined)
      throw new Failure("INVALID_SPEC", `${JSON.stringify(key.slice(0, 60))} cannot be assumed`, {
        remedy: `assume KEY=VALUE, where KEY is one of ${Object.keys(ASSUMPTIONS).join(", ")}`,
      });
    const change = entry.change(known, value);
    if (change === undefined)
      throw new Failure("INVALID_SPEC", `${key} cannot be assumed as ${JSON.stringify(value.slice(0, 60))}`, { remedy: `it takes ${entry.values}` });
    return { ...known, ...change, assumed: { ...known.assumed, [key]: value } };
  }, host);
}

/** Boundaries in a fixed order, so that the same input gives the same answer. */
export const KINDS: readonly BoundaryKind[] = BOUNDARY_KINDS;
