/** SandboxSpec and ProcessSpec to an OCI bundle and a launch plan for runsc. Pure: what touches the host was found out before and is handed in. */

import type { Bundle } from "../../contract/driver.ts";
import type { LaunchPlan } from "../../contract/launch-plan.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { readHeld } from "../../host/held-bundle.ts";
import type { Accounts } from "../oci/accounts.ts";
import { composeOciPlan, type OciBundle } from "../oci/bundle.ts";
import { type BundleFiles, composeMounts, QUIET } from "../oci/mounts.ts";
import type { OciConfig, OciMount } from "../oci/oci-config.ts";
import { composeExecDefaults, composeProcess, guardsOf } from "../oci/process.ts";
import { checkSpec } from "./spec.ts";

/** What `Bundle.driver` holds. Written by this version, read by every later one. */
export type GvisorBundle = OciBundle;

export const readBundle = (bundle: Bundle): GvisorBundle => readHeld<GvisorBundle>(bundle);

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

const NAMESPACES = ["mount", "pid", "ipc", "uts"] as const;

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
      namespaces: [...NAMESPACES, ...(held.ownIds === true ? (["user"] as const) : [])].map((type) => ({ type })),
      devices: [],
      sysctl: {},
      maskedPaths: spec.security.maskedPaths,
      readonlyPaths: spec.security.readOnlyPaths,
    },
  };
}

export function composePlan(bundle: Bundle, held: GvisorBundle, main: ProcessSpec): LaunchPlan {
  return composeOciPlan(bundle, held, main, { lower: checkSpec(held.spec).layers, execProcess: composeExecDefaults(guards(held.spec)) });
}
