/** The sandbox that probes raise to see whether a boundary works: no network, no mounts, no capabilities, nothing logged. */

import type { SandboxSpec } from "../contract/spec.ts";

/** `own` is what the boundary's trial needs beyond the least. */
export function createTrialSpec(own: Pick<SandboxSpec, "workload" | "root"> & Partial<Pick<SandboxSpec, "limits" | "init">>): SandboxSpec {
  return {
    hostname: "probe",
    hosts: "",
    resolvConf: "",
    mounts: [],
    network: { kind: "none" },
    limits: {},
    rlimits: [],
    sysctls: {},
    shmBytes: 1024 * 1024,
    security: {
      privileged: false,
      capabilities: [],
      noNewPrivileges: true,
      seccomp: "default",
      readOnlyRoot: false,
      maskedPaths: [],
      readOnlyPaths: [],
      hostNamespaces: [],
      devices: [],
    },
    init: false,
    log: { kind: "none" },
    ...own,
  };
}
