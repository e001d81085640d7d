/** The machine monitor, which every kind of machine runs in: QEMU, found, accelerated, confined and run as a user of its own, always alike. */

import { existsSync } from "node:fs";
import type { Finding } from "../../contract/driver.ts";
import { toFailure } from "../../contract/failure.ts";
import type { LimitsSpec } from "../../contract/spec.ts";
import { findProgram } from "../../host/host-facts.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { findLibraries } from "./libraries.ts";

const QEMU = process.arch === "arm64" ? "qemu-system-aarch64" : "qemu-system-x86_64";
const QEMU_PACKAGE = process.arch === "arm64" ? "qemu-system-arm" : "qemu-system-x86";
/** Translations of emulated code; QEMU's default is a quarter of the guest's memory, on top of it. */
const TRANSLATION_MIB = 64;
const MIB = 1024 * 1024;

/** What the monitor itself needs on the host beside its guest's memory; emulation also keeps its translations. */
const MONITOR_MIB = { hardware: 96, emulated: 192 } as const;
/** Threads of the monitor: processors, and workers for disk requests. */
const MONITOR_PIDS = 256;
const MOST_PROCESSORS = 32;
/** A finding that a file mends, without a boot to tell. */
export const MONITOR_MISSING = "qemu-installed";

export interface FoundMonitor {
  readonly program: string;
  readonly version: string;
  /** What it needs of the host's system: libraries, modules, firmware. */
  readonly systemFiles: readonly string[];
}

/** The operator's, else the distribution's, with those of the firmware files that are here; or what is missing. */
export async function findMonitor(
  given: { readonly launcher: Launcher; readonly qemu?: string },
  firmware: readonly string[],
): Promise<FoundMonitor | { readonly missing: Finding }> {
  const lacking = (id: string, what: string, remedy: string) => ({ missing: { id, level: "missing", what, remedy } as const });
  const program = given.qemu ?? findProgram(QEMU);
  if (program === undefined || !existsSync(program))
    return lacking(MONITOR_MISSING, `${program ?? QEMU} is not installed`, `apt-get install --no-install-recommends ${QEMU_PACKAGE}`);
  try {
    const { stdout } = await given.launcher.request("run", { program: QEMU, arguments: ["--version"], deadlineMs: 5000 });
    return { program, version: /version (\S+)/.exec(stdout)?.[1] ?? "unknown", systemFiles: systemFilesOf(program, firmware) };
  } catch (thrown) {
    const failure = toFailure(thrown);
    return lacking("qemu-answers", failure.message, failure.remedy ?? "See the launcher's log");
  }
}

/** Libraries, the accelerator's module where the distribution has it apart, and firmware. */
function systemFilesOf(program: string, firmware: readonly string[]): string[] {
  const architecture = QEMU.slice("qemu-system-".length);
  const modules = ["/usr/lib/x86_64-linux-gnu/qemu", "/usr/lib/aarch64-linux-gnu/qemu", "/usr/lib/qemu"].map(
    (directory) => `${directory}/accel-tcg-${architecture}.so`,
  );
  const own = [...modules, ...firmware].filter((path) => existsSync(path));
  return [...findLibraries([program, ...own.filter((path) => path.endsWith(".so"))]), ...own];
}

/** Who makes the guest's instructions run, what it is, and how much of it: the same words for every machine. */
export function processorArguments(kvm: boolean, size: { readonly processors: number; readonly memoryMib: number }): string[] {
  return [
    ...["-accel", kvm ? "kvm" : `tcg,tb-size=${TRANSLATION_MIB}`, "-cpu", kvm ? "host" : "max"],
    ...["-smp", String(size.processors), "-m", `${size.memoryMib}M`],
  ];
}

/** No device that nobody named, no file that nobody named, and the monitor's own filter of system calls, which the launcher insists on. */
export const BARE_ARGUMENTS: readonly string[] = ["-nodefaults", "-no-user-config", "-display", "none"];
export const GUARD_ARGUMENTS: readonly string[] = ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"];

/** Whole processors for what was asked, at least one and no more than the host has. */
export function processorsFor({ cpus }: LimitsSpec, available: number): number {
  return Math.min(Math.max(1, Math.ceil(cpus ?? 1)), available, MOST_PROCESSORS);
}

/** What bounds the monitor's process itself, seen from the host: its guest's memory and its own, and the share of processors that was asked for. */
export function monitorLimits({ cpus, cpuShares, cpuset }: LimitsSpec, memoryMib: number, emulated: boolean): LimitsSpec {
  return {
    memoryBytes: (memoryMib + (emulated ? MONITOR_MIB.emulated : MONITOR_MIB.hardware)) * MIB,
    pids: MONITOR_PIDS,
    ...(cpus === undefined ? {} : { cpus }),
    ...(cpuShares === undefined ? {} : { cpuShares }),
    ...(cpuset === undefined ? {} : { cpuset }),
  };
}

/** A comma ends an option of the monitor's, two are one. */
export function escapeOption(path: string): string {
  return path.replaceAll(",", ",,");
}

/** A user for this machine alone, above every range that distributions hand out (and below 2^31, where some programs stop). */
export function machineUser(workload: string): number {
  return 0x6c00_0000 + Number.parseInt(workload.slice(0, 6), 16);
}

/** Names for floors to compare by inclusion. Emulation takes away what a processor would have enforced. */
export function machineTraitNames(emulated: boolean): readonly string[] {
  return emulated ? ["own-kernel"] : ["separate-kernel", "own-kernel", "hardware-enforced", "not-emulated", "user-namespace"];
}
