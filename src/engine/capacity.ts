/** What this host can give at most: more than that is refused when it is asked for, not when it is started. */

import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { Failure, quote } from "../contract/failure.ts";
import type { LimitsSpec } from "../contract/spec.ts";
import type { WorkloadRequest } from "./index.ts";

export interface HostCapacity {
  /** Numbers of the processors that are online. */
  readonly processors: readonly number[];
  /** Most open files that the kernel allows one process: `fs.nr_open`. */
  readonly openFiles: number;
}

/** The kernel's own bound on pids (PID_MAX_LIMIT). */
const MOST_PIDS = 4_194_304;
/** Longer lists than any kernel has processors are not counted out. */
const MOST_PROCESSORS = 8192;

export function readCapacity(): HostCapacity {
  const online = parseProcessors(readKernelFile("/sys/devices/system/cpu/online"));
  const openFiles = Number(readKernelFile("/proc/sys/fs/nr_open"));
  return {
    processors: online ?? cpus().map((_, number) => number),
    openFiles: Number.isSafeInteger(openFiles) && openFiles > 0 ? openFiles : 1_048_576,
  };
}

function readKernelFile(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

/** `0-2,5` as numbers; undefined for what is no such list. */
export function parseProcessors(text: string): readonly number[] | undefined {
  const numbers: number[] = [];
  for (const part of text.split(",")) {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part);
    const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
    if (match === null || last < first || last >= MOST_PROCESSORS) return undefined;
    for (let number = first; number <= last; number++) numbers.push(number);
  }
  return numbers;
}

/** Rejects INVALID_SPEC in Docker's words for what this host does not have. */
export function checkCapacity(limits: LimitsSpec, capacity: HostCapacity): void {
  const { processors } = capacity;
  const { cpus: wanted, cpuset, pids } = limits;
  if (wanted !== undefined && wanted > processors.length)
    refuse(
      `range of CPUs is from 0.01 to ${processors.length}.00, as there are only ${processors.length} CPUs available`,
      `Ask for ${processors.length} or fewer, or leave it out for all.`,
    );
  if (cpuset !== undefined) {
    const available = processors.join(",");
    const numbers = parseProcessors(cpuset);
    if (numbers === undefined) refuse(`invalid processor list ${quote(cpuset)}`, "Write it as 0-2,5.");
    if (numbers.some((number) => !processors.includes(number)))
      refuse(`Requested CPUs are not available - requested ${cpuset}, available: ${available}`, `Choose among ${available}.`);
  }
  if (pids !== undefined && pids > MOST_PIDS) refuse(`invalid pids limit: ${pids}`, `Linux has no more than ${MOST_PIDS}; leave it out for no limit.`);
}

/** Where the kernel is the host's own. A machine's refuses at its start what it does not have. */
export function checkHostKernel({ rlimits, limits }: Pick<WorkloadRequest, "limits" | "rlimits">, { openFiles }: HostCapacity): void {
  // The runtime is still there when the workload's first process is made.
  if (limits.pids === 1) refuse("a pids limit of 1 lets no workload come up", "Ask for 2 or more.");
  for (const { name, soft, hard } of rlimits)
    if (name === "RLIMIT_NOFILE" && [soft, hard].some((limit) => limit === -1 || limit > openFiles))
      refuse(
        `ulimit nofile ${hard === -1 ? "without limit" : hard} is above what this host's kernel allows, which is ${openFiles}`,
        `Ask for ${openFiles} or less, or raise the host's: sysctl fs.nr_open`,
      );
}

function refuse(what: string, remedy: string): never {
  throw new Failure("INVALID_SPEC", what, { remedy });
}
