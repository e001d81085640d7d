/**
 * The boundary that a client chose by Docker's words: `--runtime` or `--isolation`. Names of boundaries are the contract's; the
 * names of other people's runtimes are aliases for the boundary that they stand for. Never a guess: an unknown one is refused.
 */

import { BOUNDARY_KINDS, type BoundaryKind } from "../../contract/boundary.ts";
import { Failure, quote } from "../../contract/failure.ts";

const ALIASES: Readonly<Record<string, BoundaryKind>> = {
  runc: "container",
  crun: "container",
  youki: "container",
  "io.containerd.runc.v1": "container",
  "io.containerd.runc.v2": "container",
  process: "container",
  runsc: "gvisor",
  "io.containerd.runsc.v1": "gvisor",
  kata: "microvm",
  "kata-runtime": "microvm",
  "kata-qemu": "microvm",
  "kata-clh": "microvm",
  "kata-fc": "microvm",
  "io.containerd.kata.v2": "microvm",
  firecracker: "microvm",
  "cloud-hypervisor": "microvm",
  "aws.firecracker": "microvm",
  wasmtime: "wasm",
  wasmedge: "wasm",
  "io.containerd.wasmtime.v1": "wasm",
  "io.containerd.wasmedge.v1": "wasm",
  "io.containerd.wasm.v1": "wasm",
};

/** Every name beside the contract's own, for the document that lists them. */
export const aliases: readonly string[] = Object.keys(ALIASES);

const BY_NAME: ReadonlyMap<string, BoundaryKind> = new Map([...Object.entries(ALIASES), ...BOUNDARY_KINDS.map((kind): [string, BoundaryKind] => [kind, kind])]);

/** The boundary is left to advice. */
export const AUTO = "auto";

/** `undefined` is the daemon's default. Rejects INVALID_SPEC for an unknown name, and for two names that mean different boundaries. */
export function chooseIsolation(runtime: string | undefined, isolation: string | undefined): BoundaryKind | typeof AUTO | undefined {
  const byRuntime = readName(runtime, "unknown or invalid runtime name");
  const byIsolation = readName(isolation, "unknown isolation");
  if (byRuntime !== undefined && byIsolation !== undefined && byRuntime !== byIsolation) {
    throw new Failure("INVALID_SPEC", `runtime ${quote(runtime ?? "")} means ${byRuntime} and isolation ${quote(isolation ?? "")} means ${byIsolation}`, {
      remedy: "Give only one of --runtime and --isolation.",
    });
  }
  return byIsolation ?? byRuntime;
}

function readName(name: string | undefined, fault: string): BoundaryKind | typeof AUTO | undefined {
  if (name === undefined || name === "" || name === "default") return undefined;
  if (name.toLowerCase() === AUTO) return AUTO;
  const kind = BY_NAME.get(name.toLowerCase());
  if (kind !== undefined) return kind;
  throw new Failure("INVALID_SPEC", `${fault}: ${quote(name)}`, { remedy: `Known are ${BOUNDARY_KINDS.join(", ")}, auto, and default.` });
}
