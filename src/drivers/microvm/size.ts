/**
 * How large a machine is made. A limit is what the workload may use, exact, as a control group inside the guest; the machine is larger by
 * what the guest's kernel and agent need, rounded up to a class, so that templates can be shared; the host's control group is the outer wall.
 */

import { Failure } from "../../contract/failure.ts";
import type { LimitsSpec } from "../../contract/spec.ts";
import { monitorLimits, processorsFor } from "../machine/monitor.ts";

const MIB = 1024 * 1024;
/** RAM of machines. Beyond the last one, whole GiB. */
const CLASSES_MIB = [96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192] as const;
const DEFAULT_MACHINE_MIB = 256;
/** Measured: kernel, page structures, agent and slabs of an idle machine take 24 MiB of 256; the rest is for growth. */
const GUEST_OVERHEAD_MIB = 48;
const LEAST_LIMIT_BYTES = 6 * MIB;
const DEFAULT_DISK_BYTES = 10 * 1024 * MIB;
const LEAST_DISK_BYTES = 4 * MIB;

export interface MachineSize {
  readonly memoryMib: number;
  readonly processors: number;
  readonly diskBytes: number;
  /** Kept inside the guest. */
  readonly inner: LimitsSpec;
  /** Kept on the host, around the monitor. */
  readonly outer: LimitsSpec;
}

export function sizeOf(limits: LimitsSpec, host: { readonly emulated: boolean; readonly processors: number; readonly workload: string }): MachineSize {
  const wanted = limits.memoryBytes;
  if (wanted !== undefined && wanted < LEAST_LIMIT_BYTES) throw tooSmall("memory", wanted, LEAST_LIMIT_BYTES, host.workload);
  const disk = limits.diskBytes ?? DEFAULT_DISK_BYTES;
  if (disk < LEAST_DISK_BYTES) throw tooSmall("disk", disk, LEAST_DISK_BYTES, host.workload);
  const memoryMib = wanted === undefined ? DEFAULT_MACHINE_MIB : classOf(Math.ceil(wanted / MIB) + GUEST_OVERHEAD_MIB);
  const processors = processorsFor(limits, host.processors);
  const memoryBytes = wanted ?? (memoryMib - GUEST_OVERHEAD_MIB) * MIB;
  const { cpuset: _, memorySwapBytes: __, oomScoreAdjust: ___, ...kept } = limits;
  return {
    memoryMib,
    processors,
    // Whole pages: the filesystem counts in them.
    diskBytes: Math.floor(disk / 4096) * 4096,
    inner: { ...kept, memoryBytes, diskBytes: disk },
    outer: monitorLimits(limits, memoryMib, host.emulated),
  };
}

function classOf(mib: number): number {
  return CLASSES_MIB.find((size) => size >= mib) ?? Math.ceil(mib / 1024) * 1024;
}

function tooSmall(what: string, bytes: number, least: number, workload: string): Failure {
  return new Failure("INVALID_SPEC", `A machine's workload needs at least ${least / MIB} MiB of ${what}, and ${bytes} bytes were asked for`, {
    workload,
    boundary: "microvm",
    remedy: `Ask for ${least / MIB}m or more`,
  });
}
