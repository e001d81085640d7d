/** How large a whole machine is made: its memory is the limit, for nobody but its own system keeps one inside; the host's control group is the outer wall. */

import { Failure } from "../../contract/failure.ts";
import type { LimitsSpec } from "../../contract/spec.ts";
import { monitorLimits, processorsFor } from "../machine/monitor.ts";

const MIB = 1024 * 1024;
const DEFAULT_MACHINE_MIB = 1024;
/** Firmware and a boot loader; what any system needs is its own. */
const LEAST_MACHINE_MIB = 16;

export interface VmSize {
  readonly memoryMib: number;
  readonly processors: number;
  readonly diskBytes: number;
  /** Kept on the host, around the monitor. */
  readonly outer: LimitsSpec;
}

/** `baseBytes`: of the image's disk, over which the workload's own lies, as large or larger. */
export function sizeOf(
  limits: LimitsSpec,
  host: { readonly emulated: boolean; readonly processors: number; readonly baseBytes: number; readonly workload: string },
): VmSize {
  const refuse = (what: string, remedy: string) => new Failure("INVALID_SPEC", what, { workload: host.workload, boundary: "vm", remedy });
  const memoryMib = limits.memoryBytes === undefined ? DEFAULT_MACHINE_MIB : Math.floor(limits.memoryBytes / MIB);
  if (memoryMib < LEAST_MACHINE_MIB)
    throw refuse(`A machine needs at least ${LEAST_MACHINE_MIB} MiB of memory, and ${memoryMib} were asked for`, `Ask for ${LEAST_MACHINE_MIB}m or more`);
  const diskBytes = limits.diskBytes === undefined ? host.baseBytes : Math.floor(limits.diskBytes / MIB) * MIB;
  if (diskBytes < host.baseBytes)
    throw refuse(
      `The image's disk has ${host.baseBytes} bytes, and a machine's own cannot be smaller: ${diskBytes} were asked for`,
      "Ask for as much or more, or leave it out",
    );
  return {
    memoryMib,
    processors: processorsFor(limits, host.processors),
    diskBytes,
    outer: monitorLimits(limits, memoryMib, host.emulated),
  };
}
