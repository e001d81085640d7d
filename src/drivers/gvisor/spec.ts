/** What gVisor can never carry, told by name at `prepare`. Pure. */

import { Failure, quote } from "../../contract/failure.ts";
import type { RootSource, SandboxSpec } from "../../contract/spec.ts";

/** Below this its kernel, its file server and the stubs of one process do not fit beside the workload. */
const LEAST_MEMORY_BYTES = 32 * 1024 * 1024;

type DirectoryRoot = Extract<RootSource, { form: "directories" }>;
type Refuse = (what: string, remedy: string, code?: "INVALID_SPEC" | "UNSUPPORTED") => Failure;

const CONTAINER = "Run it with --isolation container";

/** The root as it is mounted. Rejects UNSUPPORTED for what this boundary cannot do, INVALID_SPEC for a limit that leaves no room. */
export function checkSpec(spec: SandboxSpec): DirectoryRoot {
  const refuse: Refuse = (what, remedy, code = "UNSUPPORTED") => new Failure(code, what, { workload: spec.workload, boundary: "gvisor", remedy });
  if (spec.root.form !== "directories") throw refuse("gVisor needs its root as layers of directories", CONTAINER);
  checkKernel(spec, refuse);
  checkSecurity(spec, refuse);
  checkLimits(spec, refuse);
  return spec.root;
}

function checkKernel(spec: SandboxSpec, refuse: Refuse): void {
  // The user namespace is that of its file server and of nothing inside: the host's can be had.
  const namespace = spec.security.hostNamespaces.find((one) => one !== "user");
  if (namespace !== undefined) throw refuse(`gVisor has a kernel of its own and cannot join the host's ${namespace} namespace`, CONTAINER);
  if (spec.network.kind === "host")
    throw refuse("gVisor has a network stack of its own and is not given the host's", "Use --network bridge with -p, or run it with --isolation container");
  const [sysctl] = Object.keys(spec.sysctls);
  if (sysctl !== undefined) throw refuse(`gVisor's kernel does not take the sysctl ${quote(sysctl)}`, `Leave it out, or ${CONTAINER.toLowerCase()}`);
  if ((spec.domainName ?? "") !== "") throw refuse("gVisor's kernel has no domain name to set", "Leave --domainname out");
  for (const mount of spec.mounts) {
    if (mount.kind === "bind" && (mount.propagation === "shared" || mount.propagation === "rshared"))
      throw refuse(`Mounts made in ${quote(mount.target)} cannot appear on the host from inside gVisor`, "Leave the propagation out");
  }
}

function checkSecurity({ security }: SandboxSpec, refuse: Refuse): void {
  const [device] = security.devices;
  if (device !== undefined) throw refuse(`gVisor cannot be given the host's device ${quote(device.hostPath)}`, CONTAINER);
  if (typeof security.seccomp === "object")
    throw refuse("A seccomp profile of one's own is not applied inside gVisor", `Leave it to gVisor's own kernel, or ${CONTAINER.toLowerCase()}`);
  if ((security.appArmor ?? "unconfined") !== "unconfined" && security.appArmor !== "")
    throw refuse(`The AppArmor profile ${quote(security.appArmor ?? "")} cannot be applied inside gVisor`, "Leave --security-opt apparmor out");
}

function checkLimits({ limits }: SandboxSpec, refuse: Refuse): void {
  if (limits.memoryBytes !== undefined && limits.memoryBytes < LEAST_MEMORY_BYTES)
    throw refuse("A memory limit below 32 MiB leaves gVisor's own kernel no room", "Give at least --memory 32m", "INVALID_SPEC");
}
