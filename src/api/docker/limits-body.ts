/** Limits: from Docker's many fields to the few that every boundary can carry. */

import { Failure, quote } from "../../contract/failure.ts";
import type { LimitsSpec, RlimitSpec } from "../../contract/spec.ts";
import type { HostConfigBody } from "./create-shape.ts";
import { present } from "./present.ts";
import { readSize } from "./sizes.ts";

/** Docker's own floor: below it no process comes up. */
const LEAST_MEMORY_BYTES = 6 * 1024 * 1024;
const LEAST_NANO_CPUS = 1e7;
const DEFAULT_PERIOD_US = 100_000;

type LimitFields = Pick<
  HostConfigBody,
  | "Memory"
  | "MemorySwap"
  | "MemoryReservation"
  | "NanoCpus"
  | "CpuPeriod"
  | "CpuQuota"
  | "CpuShares"
  | "CpusetCpus"
  | "PidsLimit"
  | "OomScoreAdj"
  | "StorageOpt"
>;

/** Rejects INVALID_SPEC naming the field that cannot be. Zero and null are "no limit", as in Docker. */
export function readLimits(host: LimitFields): LimitsSpec {
  if ((host.MemoryReservation ?? 0) < 0 || (host.MemorySwap ?? 0) < -1) throw invalid("memory limits cannot be negative; -1 as MemorySwap is unlimited swap");
  const memoryBytes = host.Memory || undefined;
  if (memoryBytes !== undefined && memoryBytes < LEAST_MEMORY_BYTES) throw invalid("Minimum memory limit allowed is 6MB", "Ask for 6 MiB or more.");
  const memorySwapBytes = host.MemorySwap || undefined;
  if (memorySwapBytes !== undefined && memorySwapBytes > 0) {
    if (memoryBytes === undefined) throw invalid("You should always set the Memory limit when using Memoryswap limit");
    if (memorySwapBytes < memoryBytes) throw invalid("Minimum memoryswap limit should be larger than memory limit");
  }
  const reservation = host.MemoryReservation || undefined;
  if (reservation !== undefined && memoryBytes !== undefined && reservation > memoryBytes) {
    throw invalid("Minimum memory limit can not be less than memory reservation limit");
  }
  const cpuset = host.CpusetCpus || undefined;
  if (cpuset !== undefined && !/^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$/.test(cpuset)) throw invalid(`Invalid value ${quote(cpuset)} for cpuset cpus`);
  const shares = host.CpuShares || undefined;
  if (shares !== undefined && (shares < 2 || shares > 262_144)) throw invalid("CPU shares must be between 2 and 262144");
  const oom = host.OomScoreAdj || undefined;
  if (oom !== undefined && (oom < -1000 || oom > 1000)) throw invalid(`Invalid value ${oom}, range for oom score adj is [-1000, 1000]`);
  const pids = host.PidsLimit ?? 0;
  return present({
    memoryBytes,
    memorySwapBytes,
    memoryReservationBytes: reservation,
    cpus: readCpus(host),
    cpuShares: shares,
    cpuset,
    pids: pids > 0 ? pids : undefined,
    diskBytes: readDisk(host),
    oomScoreAdjust: oom,
  });
}

/** As `readLimits`, and memory that is limited is not evaded by swap: where nothing is said of swap there is as much of it as of memory. */
export function readFirstLimits(host: LimitFields): LimitsSpec {
  const limits = readLimits(host);
  if (limits.memoryBytes === undefined || limits.memorySwapBytes !== undefined) return limits;
  return { ...limits, memorySwapBytes: 2 * limits.memoryBytes };
}

function readCpus(host: LimitFields): number | undefined {
  if (host.NanoCpus) {
    if (host.CpuQuota || host.CpuPeriod) throw invalid("Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set");
    if (host.NanoCpus < LEAST_NANO_CPUS) throw invalid("range of CPUs is from 0.01 upwards");
    return host.NanoCpus / 1e9;
  }
  if (!host.CpuQuota || host.CpuQuota < 0) return undefined;
  const period = host.CpuPeriod || DEFAULT_PERIOD_US;
  if (period < 1000 || period > 1_000_000) throw invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  if (host.CpuQuota < 1000) throw invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  return host.CpuQuota / period;
}

function readDisk(host: LimitFields): number | undefined {
  let bytes: number | undefined;
  for (const [name, value] of Object.entries(host.StorageOpt ?? {})) {
    if (name !== "size") throw invalid(`Unknown option ${quote(name)} for --storage-opt`);
    bytes = readSize(value, "storage-opt size");
  }
  return bytes;
}

/** setrlimit(2), in Docker's spelling. */
const ULIMITS = new Set(
  ["as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue"].concat(["nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"]),
);

export function readRlimits(host: Pick<HostConfigBody, "Ulimits">): readonly RlimitSpec[] {
  return (host.Ulimits ?? []).map(({ Name, Soft, Hard }) => {
    if (!ULIMITS.has(Name)) throw invalid(`invalid ulimit type: ${quote(Name)}`);
    if (Soft < -1 || Hard < -1) throw invalid(`invalid ulimit ${quote(Name)}: ${Soft}:${Hard}; -1 is without limit`);
    if (Hard !== -1 && (Soft > Hard || Soft === -1)) throw invalid(`ulimit soft limit must be less than or equal to hard limit: ${Soft} > ${Hard}`);
    return { name: `RLIMIT_${Name.toUpperCase()}`, soft: Soft, hard: Hard };
  });
}

function invalid(what: string, remedy?: string): Failure {
  return new Failure("INVALID_SPEC", what, remedy === undefined ? {} : { remedy });
}
