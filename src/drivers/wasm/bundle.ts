/** From a spec to what the launcher is told: pure, but for where things lie. */

import { createHash } from "node:crypto";
import type { Bundle } from "../../contract/driver.ts";
import { Failure, quote } from "../../contract/failure.ts";
import type { LaunchPlan, WasmEngine } from "../../contract/launch-plan.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { composePlanFrame, type HeldBundle, readHeld } from "../../host/held-bundle.ts";

/** What `Bundle.driver` holds. Written by this version, read by every later one. */
export type WasmBundle = HeldBundle;

/** Places below the workload's directory. */
export function placesOf(directory: string) {
  return {
    root: `${directory}/root`,
    upper: `${directory}/written/upper`,
    work: `${directory}/written/work`,
    exitRecord: `${directory}/exit.json`,
    startMark: `${directory}/start-asked`,
    launchMark: `${directory}/launched`,
  } as const;
}

export const readBundle = (bundle: Bundle): WasmBundle => readHeld<WasmBundle>(bundle);

/** What an instance can never carry is refused here, by name. Users, host names and kernel settings mean nothing to it and are left alone. */
export function checkSpec(spec: SandboxSpec): Extract<SandboxSpec["root"], { form: "module" }> {
  const refuse = (what: string, remedy: string) => new Failure("UNSUPPORTED", what, { workload: spec.workload, boundary: "wasm", remedy });
  const { network, security, limits, root } = spec;
  if (root.form !== "module") throw refuse("A wasm instance needs its root as a module", "Name an image that holds a wasm module");
  if (network.kind !== "none") throw refuse("A wasm instance has no network", "Run it with --network none, or choose the boundary container");
  if (security.privileged || security.hostNamespaces.length > 0 || security.devices.length > 0)
    throw refuse("A wasm instance has no privileges, namespaces or devices", "Leave the option out, or choose the boundary container");
  if (typeof security.seccomp === "object") throw refuse("A wasm instance makes no system calls for a seccomp profile to judge", "Leave the profile out");
  if (spec.init) throw refuse("A wasm instance has no processes for an init to look after", "Leave --init out");
  if (limits.diskBytes !== undefined) throw refuse("A wasm instance's root cannot be limited in size (limits.diskBytes)", "Mount a tmpfs with a size");
  if (limits.cpuset !== undefined) throw refuse("A wasm instance cannot be bound to processors (limits.cpuset)", "Limit it with --cpus");
  for (const mount of spec.mounts)
    if (mount.kind === "bind" && (mount.propagation === "shared" || mount.propagation === "rshared"))
      throw refuse(`Mounts made in ${quote(mount.target)} cannot appear on the host: a wasm instance mounts nothing`, "Leave the propagation out");
  return root;
}

/** Of two domains among a thousand that live at once, two have the same user once in sixteen hundred times; below lie a host's own users, above the ranges of containers. */
const FIRST_USER = 0x3000_0000;
const USERS = 0x3000_0000;

/** Words by which a wall of one domain is told from another's; the hash keeps callers' words out of names on the host. */
export function domainOf(spec: SandboxSpec): { readonly name: string; readonly uid: number } {
  const hex = createHash("sha256")
    .update(spec.domain === undefined ? `workload ${spec.workload}` : `domain ${spec.domain}`)
    .digest("hex");
  return { name: hex.slice(0, 16), uid: FIRST_USER + (Number.parseInt(hex.slice(16, 28), 16) % USERS) };
}

/** Where compiled modules lie: another key, another engine, another processor. */
export function compiledPath(cache: string, key: string, digest: string): string {
  return `${cache}/${key}/${digest}.cwasm`;
}

export function composePlan(bundle: Bundle, held: WasmBundle, main: ProcessSpec, module: string): LaunchPlan {
  return {
    ...composePlanFrame(bundle, held, placesOf(bundle.directory).exitRecord, main),
    main: { terminal: false, stdin: main.stdin, stdinOnce: main.stdinOnce },
    engine: composeEngine(bundle, held, main, module),
  };
}

function composeEngine(bundle: Bundle, { spec }: WasmBundle, main: ProcessSpec, module: string): WasmEngine {
  const { upper, work } = placesOf(bundle.directory);
  const { name, uid } = domainOf(spec);
  const { layers } = checkSpec(spec);
  return {
    kind: "wasm",
    domain: name,
    uid,
    gid: uid,
    module,
    arguments: main.command,
    environment: main.environment.filter((entry) => entry.includes("=")),
    workingDirectory: main.workingDirectory === "" ? "/" : main.workingDirectory,
    ...(layers.length === 0 ? {} : { root: { lower: layers, upper, work, readOnly: spec.security.readOnlyRoot } }),
    mounts: spec.mounts,
    cpuSeconds: Math.max(0, spec.rlimits.find((limit) => limit.name === "RLIMIT_CPU")?.soft ?? 0),
  };
}
