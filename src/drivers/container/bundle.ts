/** SandboxSpec and ProcessSpec to an OCI bundle and a launch plan. Pure: what touches the host was found out before and is handed in. */

import type { Bundle } from "../../contract/driver.ts";
import { Failure, quote } from "../../contract/failure.ts";
import { OWN_ID_COUNT } from "../../contract/host-ids.ts";
import type { LaunchPlan } from "../../contract/launch-plan.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { readHeld } from "../../host/held-bundle.ts";
import type { Accounts } from "../oci/accounts.ts";
import { composeOciPlan, type OciBundle } from "../oci/bundle.ts";
import { kernelMounts } from "./kernel-mounts.ts";
import { type BundleFiles, composeMounts, rootPropagation } from "../oci/mounts.ts";
import type { OciConfig, OciDevice, OciNamespace, OciSeccomp } from "../oci/oci-config.ts";
import { composeExecDefaults, composeProcess, guardsOf } from "../oci/process.ts";
import { parseProfile, resolveDefaultProfile, type SeccompHost, seccompKey } from "./seccomp.ts";

/** What `Bundle.driver` holds. Written by this version, read by every later one. */
export interface ContainerBundle extends OciBundle {
  readonly devices: readonly OciDevice[];
  /** All capabilities that the host has. */
  readonly hostCapabilities: readonly string[];
}

export const readBundle = (bundle: Bundle): ContainerBundle => readHeld<ContainerBundle>(bundle);

/** The profile depends on nothing of the main process, so that it can be judged at prepare. */
export function composeSeccomp(spec: SandboxSpec, host: SeccompHost): OciSeccomp | undefined {
  const { seccomp, capabilities, privileged } = spec.security;
  if (seccomp === "unconfined" || (privileged && seccomp === "default")) return undefined;
  return seccomp === "default" ? resolveDefaultProfile(capabilities, host) : parseProfile(seccomp.profile, capabilities, host);
}

export function composeConfig(
  bundle: ContainerBundle,
  main: ProcessSpec,
  given: { files: BundleFiles; accounts: Accounts; seccomp: OciSeccomp | undefined },
): OciConfig {
  const { spec, ownIds = false } = bundle;
  const propagation = rootPropagation(spec.mounts);
  const { [DOMAIN_NAME]: domainname, ...sysctl } = composeSysctls(spec, ownIds);
  return {
    ociVersion: "1.0.2",
    process: composeProcess(main, guardsOf(spec, bundle.hostCapabilities), given.accounts),
    root: { path: "rootfs", readonly: spec.security.readOnlyRoot },
    ...(spec.security.hostNamespaces.includes("uts") ? {} : { hostname: spec.hostname }),
    // The file belongs to the host's root; the system call to the namespace's.
    ...(ownIds && domainname !== undefined ? { domainname } : {}),
    mounts: composeMounts(spec, kernelMounts(spec), given.files, bundle.fileSources),
    linux: {
      namespaces: composeNamespaces(spec, ownIds),
      devices: ownIds ? [] : bundle.devices,
      sysctl: ownIds || domainname === undefined ? sysctl : { ...sysctl, [DOMAIN_NAME]: domainname },
      maskedPaths: spec.security.maskedPaths,
      readonlyPaths: [...spec.security.readOnlyPaths, ...groupView(spec)],
      ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
      ...(given.seccomp === undefined ? {} : { seccomp: given.seccomp }),
    },
  };
}

/**
 * The network namespace is made by the supervisor, who starts the runtime inside it: none is listed here, and the runtime
 * keeps the one it was started in. It makes the user namespace too, and puts the path in.
 */
function composeNamespaces(spec: SandboxSpec, ownIds: boolean): OciNamespace[] {
  const shared = spec.security.hostNamespaces;
  const own = (["pid", "ipc", "uts", "cgroup"] as const).filter((type) => !shared.includes(type));
  return [{ type: "mount" }, ...own.map((type) => ({ type })), ...(ownIds ? [{ type: "user" } as const] : [])];
}

/**
 * On v1 the runtime shows control groups on a tmpfs of its own, and leaves that writable whatever the mount's options say. Where it is no
 * kernel's view but a mount of the workload's, it stays as that is.
 */
function groupView({ security, mounts }: SandboxSpec): string[] {
  return security.privileged || mounts.some(({ target }) => target.startsWith("/sys")) ? [] : ["/sys/fs/cgroup"];
}

/** Docker's own settings first, then what was asked for. Only what belongs to a namespace of the container's own may be set. */
function composeSysctls(spec: SandboxSpec, ownIds: boolean): Record<string, string> {
  const ownNetwork = spec.network.kind !== "host";
  const shared = spec.security.hostNamespaces;
  for (const name of Object.keys(spec.sysctls)) {
    const area = sysctlArea(name);
    if (area === "network" ? ownNetwork : area !== undefined && !shared.includes(area)) continue;
    const why = area === undefined ? "it belongs to the whole host" : `the container shares the host's ${area} namespace`;
    throw new Failure("INVALID_SPEC", `The sysctl ${quote(name)} cannot be set for one container: ${why}`, { workload: spec.workload, boundary: "container" });
  }
  return {
    ...(ownNetwork ? { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": `0 ${ownIds ? OWN_ID_COUNT - 1 : 2147483647}` } : {}),
    ...(spec.domainName === undefined || spec.domainName === "" || shared.includes("uts") ? {} : { [DOMAIN_NAME]: spec.domainName }),
    ...spec.sysctls,
  };
}

const DOMAIN_NAME = "kernel.domainname";

function sysctlArea(name: string): "network" | "ipc" | "uts" | undefined {
  if (name.startsWith("net.")) return "network";
  if (/^(kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+)$/.test(name)) return "ipc";
  return name === DOMAIN_NAME || name === "kernel.hostname" ? "uts" : undefined;
}

export function composePlan(bundle: Bundle, held: ContainerBundle, main: ProcessSpec, seccomp: OciSeccomp | undefined): LaunchPlan {
  const { spec } = held;
  if (spec.root.form !== "directories") throw new Failure("INTERNAL", "A container was given a root that is no list of directories");
  const key = seccomp === undefined ? undefined : seccompKey(seccomp);
  return {
    ...composeOciPlan(bundle, held, main, {
      lower: spec.root.layers,
      ...(key === undefined ? {} : { seccompKey: key }),
      execProcess: composeExecDefaults(guardsOf(spec, held.hostCapabilities)),
    }),
    devices: spec.security.devices,
    allDevices: spec.security.privileged,
  };
}
