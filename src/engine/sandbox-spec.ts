/** A record and its reservations as the complete, resolved spec that any driver can carry out. Pure. */

import type { LogSpec, NetworkSpec, RootSource, SandboxSpec } from "../contract/spec.ts";
import type { WorkloadRecord } from "./record.ts";
import { buildSecurity } from "./security.ts";

const DEFAULT_SHM_BYTES = 64 * 1024 * 1024;

export interface Reservations {
  readonly root: RootSource;
  readonly network: NetworkSpec;
  readonly hosts: string;
  readonly resolvConf: string;
  readonly log: LogSpec;
}

export function buildSandboxSpec(record: WorkloadRecord, reservations: Reservations): SandboxSpec {
  const { request } = record;
  return {
    workload: record.id,
    ...(request.domain === undefined ? {} : { domain: request.domain }),
    root: reservations.root,
    hostname: record.hostname,
    ...(request.domainName === undefined ? {} : { domainName: request.domainName }),
    hosts: reservations.hosts,
    resolvConf: reservations.resolvConf,
    mounts: record.mounts,
    network: reservations.network,
    limits: request.limits,
    rlimits: request.rlimits,
    sysctls: request.sysctls,
    shmBytes: request.shmBytes ?? DEFAULT_SHM_BYTES,
    security: buildSecurity(request.security),
    init: request.init,
    log: reservations.log,
  };
}

export function logSpec(record: Pick<WorkloadRecord, "request">, directory: string): LogSpec {
  const { driver, maxBytes, maxFiles } = record.request.log;
  if (driver === "none") return { kind: "none" };
  return { kind: "json-file", path: `${directory}/log.json`, ...(maxBytes === undefined ? {} : { maxBytes }), maxFiles: maxFiles ?? 1 };
}
