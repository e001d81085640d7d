/** SandboxSpec and ProcessSpec to an OCI bundle and a launch plan for runsc. Pure: what touches the host was found out before and is handed in. */

import type { BoundaryIdentity } from "../../contract/boundary.ts";
import type { Bundle } from "../../contract/driver.ts";
import { Failure } from "../../contract/failure.ts";
import type { LaunchPlan, OciEngine } from "../../contract/launch-plan.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import type { Accounts } from "../oci/accounts.ts";
import { type BundleFiles, composeMounts, QUIET } from "../oci/mounts.ts";
import type { OciConfig, OciMount } from "../oci/oci-config.ts";
import { composeExecDefaults, composeProcess, guardsOf } from "../oci/process.ts";
import { checkSpec } from "./spec.ts";

/** What `Bundle.driver` holds. Written by this version, read by every later one. */
export interface GvisorBundle {
  readonly version: 1;
  readonly spec: SandboxSpec;
  readonly identity: BoundaryIdentity;
  readonly runtime: OciEngine["runtime"];
  readonly socket: string;
  /** Sources of binds that are no directories. */
  readonly fileSources: readonly string[];
  /** A static init program on the host, where the spec asks for one. */
  readonly init?: string;
}

/** Places below the workload's directory. */
export function placesOf(directory: string) {
  return {
    bundle: `${directory}/bundle`,
    config: `${directory}/bundle/config.json`,
    rootfs: `${directory}/bundle/rootfs`,
    written: `${directory}/written`,
    upper: `${directory}/written/upper`,
    work: `${directory}/written/work`,
    hosts: `${directory}/hosts`,
    hostname: `${directory}/hostname`,
    resolvConf: `${directory}/resolv.conf`,
    exitRecord: `${directory}/exit.json`,
    startMark: `${directory}/start-asked`,
  } as const;
}

/** The driver's part of a bundle. Rejects UNSUPPORTED for one that this program cannot read. */
export function readBundle(bundle: Bundle): GvisorBundle {
  const held = bundle.driver as GvisorBundle | undefined;
  if (bundle.version !== 1 || held?.version !== 1) {
    throw new Failure("UNSUPPORTED", `The bundle of ${bundle.workload} was written by a newer Bulkhead`, { workload: bundle.workload, boundary: bundle.kind });
  }
  return held;
}

/** gVisor's own file systems: nothing of the host's kernel is among them. */
function kernelMounts(spec: SandboxSpec): OciMount[] {
  return [
    { destination: "/proc", type: "proc", source: "proc", options: QUIET },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
    { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["nosuid", "noexec"] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: [...QUIET, "ro"] },
    { destination: "/dev/shm", type: "tmpfs", source: "shm", options: [...QUIET, "mode=1777", `size=${spec.shmBytes}`] },
  ];
}

/** Capabilities are those of gVisor's kernel, and rule over it alone. */
const guards = (spec: SandboxSpec) => guardsOf(spec, spec.security.capabilities);

export function composeConfig(held: GvisorBundle, main: ProcessSpec, given: { files: BundleFiles; accounts: Accounts }): OciConfig {
  const { spec } = held;
  // Without the option of crun's that makes what is mounted below read-only too: gVisor shows a bind as one file system.
  const mounts = composeMounts(spec, kernelMounts(spec), given.files, held.fileSources);
  return {
    ociVersion: "1.0.2",
    process: composeProcess(main, guards(spec), given.accounts),
    root: { path: "rootfs", readonly: spec.security.readOnlyRoot },
    hostname: spec.hostname,
    mounts: mounts.map((mount) => ({ ...mount, options: mount.options.filter((option) => option !== "rro") })),
    linux: {
      namespaces: (["mount", "pid", "ipc", "uts"] as const).map((type) => ({ type })),
      devices: [],
      sysctl: {},
      maskedPaths: spec.security.maskedPaths,
      readonlyPaths: spec.security.readOnlyPaths,
    },
  };
}

export function composePlan(bundle: Bundle, held: GvisorBundle, main: ProcessSpec): LaunchPlan {
  const { spec } = held;
  const places = placesOf(bundle.directory);
  return {
    version: 1,
    workload: bundle.workload,
    directory: bundle.directory,
    socket: held.socket,
    exitRecord: places.exitRecord,
    log: spec.log,
    limits: spec.limits,
    devices: [],
    allDevices: false,
    network: spec.network,
    main: {
      terminal: main.terminal,
      ...(main.terminalSize === undefined ? {} : { terminalSize: main.terminalSize }),
      stdin: main.stdin,
      stdinOnce: main.stdinOnce,
    },
    engine: {
      kind: "oci",
      runtime: held.runtime,
      bundle: places.bundle,
      root: { lower: checkSpec(spec).layers, upper: places.upper, work: places.work, readOnly: spec.security.readOnlyRoot },
      execProcess: composeExecDefaults(guards(spec)),
    },
  };
}
