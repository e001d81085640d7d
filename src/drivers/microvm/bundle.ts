/** SandboxSpec and ProcessSpec to a machine and a launch plan. Pure: what touches the host was found out before and is handed in. */

import type { Bundle } from "../../contract/driver.ts";
import { Failure, quote } from "../../contract/failure.ts";
import type { GuestConfiguration, GuestMount, LaunchPlan, MachineEngine } from "../../contract/launch-plan.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { MountSpec, RootSource, SandboxSpec } from "../../contract/spec.ts";
import { composePlanFrame, type HeldBundle, readHeld } from "../../host/held-bundle.ts";
import { machinePlaces } from "../machine/life.ts";
import { machineUser } from "../machine/monitor.ts";
import type { GuestKernel } from "./kernels.ts";
import { machineArguments } from "./machine.ts";
import { composeProcess } from "./process.ts";
import type { MachineSize } from "./size.ts";

/** What `Bundle.driver` holds. Written by this version, read by every later one. */
export interface MicrovmBundle extends HeldBundle {
  readonly program: string;
  /** What the monitor needs of the host's system: libraries, modules, firmware. */
  readonly systemFiles: readonly string[];
  readonly kernel: GuestKernel;
  readonly kvm: boolean;
  readonly size: MachineSize;
  readonly bootDeadlineMs: number;
  /** Which binds show a single file, by their position in the spec's mounts. */
  readonly fileBinds: readonly number[];
  /** Everything of the host that a saved machine depends on; absent in bundles that cannot be launched from templates. */
  readonly fingerprint?: string;
}

/** How a launch uses a template: it makes one, or begins from it. */
export interface TemplateUse {
  readonly mode: "save" | "resume";
  /** The template's own. */
  readonly directory: string;
}

/** Places below the workload's directory. */
export function placesOf(directory: string) {
  return { ...machinePlaces(directory), scratch: `${directory}/scratch.ext4` } as const;
}

/** Places below a template's directory. The description is written last: without it the rest is nothing. */
export function templatePlaces(directory: string) {
  return { memory: `${directory}/memory`, state: `${directory}/state`, description: `${directory}/template.json` } as const;
}

export const readBundle = (bundle: Bundle): MicrovmBundle => readHeld<MicrovmBundle>(bundle);

/** The root as a machine takes it; rejects UNSUPPORTED, by name, what a machine can never carry. Called at `prepare`. */
export function checkSpec(spec: SandboxSpec): Extract<RootSource, { form: "block-image" }> {
  const refuse = (what: string, remedy: string) => new Failure("UNSUPPORTED", what, { workload: spec.workload, boundary: "microvm", remedy });
  const container = "Run it with --isolation container";
  if (spec.root.form !== "block-image") throw refuse("A machine needs its root as a block image", container);
  if (spec.network.kind === "host")
    throw refuse("A machine has a network stack of its own and cannot use the host's", "Use --network bridge with -p, or run it with --isolation container");
  const [namespace] = spec.security.hostNamespaces;
  if (namespace !== undefined) throw refuse(`A machine has a kernel of its own and cannot join the host's ${namespace} namespace`, container);
  const [device] = spec.security.devices;
  if (device !== undefined) throw refuse(`A machine cannot be given the host's device ${quote(device.hostPath)}`, container);
  if (typeof spec.security.seccomp === "object")
    throw refuse(
      "A seccomp profile of one's own cannot be applied inside a machine yet",
      `Leave it to the machine's own kernel, or ${container.toLowerCase()}`,
    );
  for (const mount of spec.mounts) {
    if (mount.kind === "bind" && (mount.propagation === "shared" || mount.propagation === "rshared"))
      throw refuse(`Mounts made in ${quote(mount.target)} cannot appear on the host from inside a machine`, "Leave the propagation out");
  }
  return spec.root;
}

export function composePlan(bundle: Bundle, held: MicrovmBundle, main: ProcessSpec, template?: TemplateUse): LaunchPlan {
  return {
    ...composePlanFrame(bundle, held, placesOf(bundle.directory).exitRecord, main),
    limits: held.size.outer,
    engine: composeEngine(bundle, held, main, template),
  };
}

function composeEngine(bundle: Bundle, held: MicrovmBundle, main: ProcessSpec, template: TemplateUse | undefined): MachineEngine {
  const { spec, kernel, size } = held;
  const { scratch } = placesOf(bundle.directory);
  const root = checkSpec(spec);
  const binds = spec.mounts.filter((mount) => mount.kind === "bind");
  const id = machineUser(bundle.workload);
  const seen = [held.program, ...held.systemFiles, kernel.vmlinux, kernel.initrd, root.drive.path, ...root.extents];
  return {
    kind: "machine",
    program: held.program,
    arguments: composeArguments(bundle.directory, held, template?.mode),
    uid: id,
    gid: id,
    files: [...new Set(seen)].map((path) => ({ path, writable: false })),
    kvm: held.kvm,
    scratch: { path: scratch, bytes: size.diskBytes },
    bootDeadlineMs: held.bootDeadlineMs,
    guest: composeGuest(held, root),
    mainProcess: composeProcess(main, spec, "main"),
    shares: binds.map(({ source, readOnly }) => ({ source, readOnly })),
    ...(template === undefined ? {} : { template: composeTemplate(template, size.memoryMib) }),
  };
}

function composeTemplate({ mode, directory }: TemplateUse, memoryMib: number): NonNullable<MachineEngine["template"]> {
  const { memory, state } = templatePlaces(directory);
  return { mode, memory, memoryBytes: memoryMib * 1024 * 1024, state };
}

export function composeArguments(directory: string, held: MicrovmBundle, template: TemplateUse["mode"] | undefined): string[] {
  const { spec, kernel, size, kvm } = held;
  return machineArguments({
    kernel,
    root: checkSpec(spec).drive,
    scratch: placesOf(directory).scratch,
    size,
    network: spec.network.kind === "bridge",
    shares: countShares(spec),
    kvm,
    ...(template === undefined ? {} : { template }),
  });
}

export function countShares(spec: SandboxSpec): number {
  return spec.mounts.filter(({ kind }) => kind === "bind").length;
}

function composeGuest(held: MicrovmBundle, root: Extract<RootSource, { form: "block-image" }>): GuestConfiguration {
  const { spec } = held;
  const { network, security } = spec;
  return {
    hostname: spec.hostname,
    ...(spec.domainName === undefined || spec.domainName === "" ? {} : { domainName: spec.domainName }),
    hosts: spec.hosts,
    resolvConf: spec.resolvConf,
    network:
      network.kind === "bridge"
        ? {
            interfaceName: network.interfaceName,
            address: network.address,
            prefixLength: network.prefixLength,
            gateway: network.gateway,
            mac: network.mac,
            mtu: network.mtu,
          }
        : null,
    layers: root.layers,
    readOnlyRoot: security.readOnlyRoot,
    mounts: composeMounts(spec.mounts, held.fileBinds),
    shmBytes: spec.shmBytes,
    sysctls: { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647", ...spec.sysctls },
    limits: held.size.inner,
    maskedPaths: security.privileged ? [] : security.maskedPaths,
    readOnlyPaths: security.privileged ? [] : security.readOnlyPaths,
  };
}

function composeMounts(mounts: readonly MountSpec[], fileBinds: readonly number[]): GuestMount[] {
  let share = 0;
  return mounts.map((mount, at) => {
    if (mount.kind === "tmpfs") return mount;
    const { target, readOnly, source } = mount;
    const file = fileBinds.includes(at) ? { file: source.slice(source.lastIndexOf("/") + 1) } : {};
    return { kind: "share", share: share++, target, readOnly, ...file };
  });
}
