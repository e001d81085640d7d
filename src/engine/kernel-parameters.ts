/** `--sysctl`: only what belongs to a namespace of the workload's own may be set there, by the rules of Docker and runc. */

import { Failure, quote } from "../contract/failure.ts";
import type { BoundaryTraits } from "../contract/boundary.ts";
import type { WorkloadRequest } from "./index.ts";

/** Belong to the IPC namespace: ipc_namespaces(7). */
const IPC = new Set(["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"].map((name) => `kernel.${name}`));
const MOST_BYTES = 4096;

/** Rejects INVALID_SPEC naming the parameter. */
export function checkKernelParameters(request: WorkloadRequest, traits: BoundaryTraits): void {
  for (const [name, value] of Object.entries(request.sysctls)) {
    if (!/^[a-zA-Z0-9_-]+([./][a-zA-Z0-9_:*-]+)+$/.test(name) || name.length > 255)
      refuse(`invalid sysctl ${quote(name)}`, "Write it as --sysctl net.core.somaxconn=1024.");
    if (Buffer.byteLength(value) > MOST_BYTES || /[\0\r\n]/.test(value)) refuse(`invalid value of the sysctl ${quote(name)}`, "Write one line.");
    if (traits.kernel === "host") checkNamespaced(name, request);
  }
}

function checkNamespaced(asked: string, { network, security: { hostNamespaces } }: WorkloadRequest): void {
  const name = asked.replaceAll("/", ".");
  const joined = (namespace: string) =>
    refuse(
      `sysctl ${quote(asked)} is not allowed while the workload shares the host's ${namespace} namespace`,
      `Set it on the host, or leave the host's ${namespace} out.`,
    );
  if (IPC.has(name) || name.startsWith("fs.mqueue.")) {
    if (hostNamespaces.includes("ipc")) joined("ipc");
  } else if (name.startsWith("net.")) {
    if (network === "host") joined("network");
  } else if (name === "kernel.domainname") {
    if (hostNamespaces.includes("uts")) joined("uts");
  } else
    refuse(
      `sysctl ${quote(asked)} is not in a separate kernel namespace`,
      "Only net.*, fs.mqueue.*, kernel.msg*, kernel.sem, kernel.shm* and kernel.domainname can be set for one workload.",
    );
}

function refuse(what: string, remedy: string): never {
  throw new Failure("INVALID_SPEC", what, { remedy });
}
