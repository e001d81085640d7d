/** What of the host's kernel a container sees mounted, as Docker has it. Pure. */

import type { SandboxSpec } from "../../contract/spec.ts";
import { bindOf, QUIET } from "../oci/mounts.ts";
import type { OciMount } from "../oci/oci-config.ts";

export function kernelMounts(spec: SandboxSpec): OciMount[] {
  const { privileged, hostNamespaces } = spec.security;
  const access = privileged ? "rw" : "ro";
  const hostIpc = hostNamespaces.includes("ipc");
  return [
    { destination: "/proc", type: "proc", source: "proc", options: QUIET },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"] },
    { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: [...QUIET, access] },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [access, ...QUIET, "relatime"] },
    // Shows the queues of whichever ipc namespace it is mounted in.
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: QUIET },
    hostIpc
      ? bindOf("/dev/shm", "/dev/shm", QUIET)
      : { destination: "/dev/shm", type: "tmpfs", source: "shm", options: [...QUIET, "mode=1777", `size=${spec.shmBytes}`] },
  ];
}
