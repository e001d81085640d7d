/** SandboxSpec to a whole machine and its launch plan. Pure: what touches the host was found out before and is handed in. */

import type { Bundle } from "../../contract/driver.ts";
import { Failure } from "../../contract/failure.ts";
import type { DiskMachineEngine, LaunchPlan } from "../../contract/launch-plan.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { RootSource, SandboxSpec } from "../../contract/spec.ts";
import { composePlanFrame, type HeldBundle, readHeld } from "../../host/held-bundle.ts";
import { machinePlaces } from "../machine/life.ts";
import { machineUser } from "../machine/monitor.ts";
import { machineArguments } from "./machine.ts";
import type { VmSize } from "./size.ts";

/** What `Bundle.driver` holds. Written by this version, read by every later one. */
export interface VmBundle extends HeldBundle {
  readonly program: string;
  /** What the monitor needs of the host's system: libraries, modules, firmware. */
  readonly systemFiles: readonly string[];
  readonly kvm: boolean;
  readonly size: VmSize;
  /** For the monitor to come up; what boots in it takes its own time. */
  readonly raiseDeadlineMs: number;
}

/** Places below the workload's directory. */
export function placesOf(directory: string) {
  return { ...machinePlaces(directory), disk: `${directory}/disk.qcow2` } as const;
}

export const readBundle = (bundle: Bundle): VmBundle => readHeld<VmBundle>(bundle);

type DiskRoot = Extract<RootSource, { form: "disk" }>;

/** The root as a whole machine takes it; rejects UNSUPPORTED, by name, what such a machine can never carry. Called at `prepare`. */
export function checkSpec(spec: SandboxSpec): DiskRoot {
  const refuse = (what: string, remedy: string) => new Failure("UNSUPPORTED", what, { workload: spec.workload, boundary: "vm", remedy });
  const { security, limits } = spec;
  if (spec.root.form !== "disk") throw refuse("A whole machine boots a disk, and the image is none", "Import one: bulkhead import --disk FILE NAME");
  if (spec.network.kind === "host") throw refuse("A machine has a network stack of its own and cannot use the host's", "Use --network bridge with -p");
  if (spec.mounts.length > 0) throw refuse("There is nobody in a whole machine who could mount anything", "Put it on its disk, or choose --isolation microvm");
  if (security.hostNamespaces.length + security.devices.length > 0)
    throw refuse("A whole machine is given no namespace and no device of the host's", "Leave the option out");
  if (security.readOnlyRoot) throw refuse("A whole machine's disk is written by its own system", "Leave --read-only out");
  if (spec.rlimits.length + Object.keys(spec.sysctls).length > 0)
    throw refuse("Limits and settings inside a whole machine are its own system's", "Set them in the image, or choose --isolation microvm");
  const kept = ["pids", "memoryReservationBytes", "oomScoreAdjust"] as const;
  const foreign = kept.find((name) => limits[name] !== undefined);
  if (foreign !== undefined) throw refuse(`The limit ${foreign} cannot be kept in a whole machine, which has a system of its own`, "Leave it out");
  return spec.root;
}

export function composePlan(bundle: Bundle, held: VmBundle, main: ProcessSpec): LaunchPlan {
  return {
    ...composePlanFrame(bundle, held, placesOf(bundle.directory).exitRecord, main),
    limits: held.size.outer,
    engine: composeEngine(bundle, held),
  };
}

function composeEngine(bundle: Bundle, held: VmBundle): DiskMachineEngine {
  const { spec, size, kvm } = held;
  const { disk } = placesOf(bundle.directory);
  const { file: base } = checkSpec(spec);
  const network = spec.network.kind === "bridge" ? spec.network : undefined;
  const id = machineUser(bundle.workload);
  const read = [...new Set([held.program, ...held.systemFiles, base])].map((path) => ({ path, writable: false }));
  return {
    kind: "disk-machine",
    program: held.program,
    arguments: machineArguments({ base, disk, size, network, kvm }),
    uid: id,
    gid: id,
    files: [...read, { path: disk, writable: true }],
    kvm,
    bootDeadlineMs: held.raiseDeadlineMs,
    disk: { path: disk, bytes: size.diskBytes },
    names: { hostname: spec.hostname, servers: nameServers(spec.resolvConf) },
  };
}

/** resolv.conf's, as far as DHCP can tell them. */
export function nameServers(resolvConf: string): readonly string[] {
  return [...resolvConf.matchAll(/^nameserver\s+(\d{1,3}(?:\.\d{1,3}){3})\s*$/gm)].map(([, address]) => address as string).slice(0, 8);
}
