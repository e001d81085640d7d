/** Finds out whether whole machines run here by booting one from a disk until it switches itself off, first emulated, then by hardware. */

import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Call } from "../../contract/call.ts";
import type { BoundaryDriver, Bundle, Finding, ProbeReport } from "../../contract/driver.ts";
import { plainProcess } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { createTrialSpec } from "../../host/trial-spec.ts";
import { ensureDirectory, writeWhole } from "../../host/workload-files.ts";
import { findMonitor, type FoundMonitor, machineTraitNames, MONITOR_MISSING } from "../machine/monitor.ts";
import { judgeHardware, runTrial, type Trial, tryTun } from "../machine/trial.ts";
import { trialDisk } from "./boot-sector.ts";
import { VM_FACETS } from "./sandbox.ts";

export interface UsableVms extends FoundMonitor {
  readonly kvm: boolean;
  readonly raiseDeadlineMs: number;
}

export interface Probed {
  readonly report: ProbeReport;
  readonly machines: UsableVms | undefined;
}

export interface ProbeContext {
  readonly launcher: Launcher;
  readonly root: string;
  readonly qemu?: string;
  readonly driver: BoundaryDriver;
  bundleFor(machines: UsableVms, spec: SandboxSpec, directory: string): Bundle;
}

/** A busy host may take long; a broken one for ever. */
const EMULATED_DEADLINE_MS = 60_000;
const RAISE_DEADLINE_MS = 30_000;
const TRIAL_MIB = 64;
const FIRMWARE_MISSING = "firmware-there";
/** The board's firmware, and what firmware needs under hardware virtualisation. */
const FIRMWARE = ["/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/bios-256k.bin", "/usr/share/qemu/kvmvapic.bin"];

export async function probeVms(context: ProbeContext, call: Call): Promise<Probed> {
  const lacking = (missing: Finding): Probed => conclude([missing], undefined);
  const refuse = (id: string, what: string, remedy: string) => lacking({ id, level: "missing", what, remedy });
  if (process.arch !== "x64") return refuse("architecture-known", "Whole machines are known on x86-64 alone yet", "Use --isolation microvm");
  const monitor = await findMonitor(context, FIRMWARE);
  if ("missing" in monitor) return lacking(monitor.missing);
  if (!monitor.systemFiles.some((path) => path.endsWith("/bios-256k.bin")))
    return refuse(FIRMWARE_MISSING, "There is no firmware for whole machines", "apt-get install --no-install-recommends seabios");
  const emulated: UsableVms = { ...monitor, kvm: false, raiseDeadlineMs: RAISE_DEADLINE_MS };
  const trial = await tryBoot(context, emulated, EMULATED_DEADLINE_MS, call);
  if ("failure" in trial)
    return refuse("machine-boots", `An emulated machine does not boot from a disk here: ${trial.failure.message}`, "See the launcher's log");
  const { tookMs } = trial;
  const { version } = monitor;
  const order = { record: join(context.root, "probe/kvm-vm.json"), of: [version], deadlineMs: tookMs };
  const hardware = await judgeHardware({ ...order, boot: () => tryBoot(context, { ...emulated, kvm: true }, tookMs, call) }, call);
  const booted: Finding = {
    id: "machine-boots",
    level: "ok",
    what: `qemu ${version} booted a disk by its firmware, emulated, and was switched off in ${tookMs} ms`,
  };
  return conclude([await tryTun(context.launcher), booted, hardware], { ...emulated, kvm: hardware.level === "ok" });
}

/** Whether a probe could say something else now, at no cost: what it needs was not there and may be, or was there and is gone. */
export function mayHaveChanged({ machines, report }: Probed): boolean {
  if (machines === undefined) return report.findings.some(({ id, level }) => level === "missing" && (id === MONITOR_MISSING || id === FIRMWARE_MISSING));
  return [machines.program, ...machines.systemFiles].some((path) => !existsSync(path));
}

function conclude(findings: readonly Finding[], machines: UsableVms | undefined): Probed {
  if (machines === undefined) return { report: { kind: "vm", usable: false, findings, facets: [] }, machines };
  const identity = { kind: "vm", engine: "qemu", version: machines.version, emulated: !machines.kvm, traits: machineTraitNames(!machines.kvm) } as const;
  return { report: { kind: "vm", usable: true, identity, findings, facets: VM_FACETS }, machines };
}

async function tryBoot(context: ProbeContext, machines: UsableVms, deadlineMs: number, call: Call): Promise<Trial> {
  const workload = randomBytes(32).toString("hex");
  const directory = join(context.root, "probe", workload);
  const bundle = async () => context.bundleFor(machines, trialSpec(workload, trialFile(context.root)), directory);
  try {
    return await runTrial(context.driver, { bundle, process: plainProcess(["/disk"]), code: 0, deadlineMs }, call);
  } finally {
    await context.driver.remove({ kind: "vm", workload, directory }, call).catch(() => undefined);
  }
}

/** Made once. */
function trialFile(root: string): { readonly file: string; readonly bytes: number } {
  const file = join(root, "probe/boot-sector.raw");
  const disk = trialDisk();
  ensureDirectory(join(root, "probe"), 0o711);
  if (!existsSync(file)) writeWhole(file, disk, 0o644);
  return { file, bytes: disk.length };
}

function trialSpec(workload: string, disk: { readonly file: string; readonly bytes: number }): SandboxSpec {
  return createTrialSpec({ workload, root: { form: "disk", ...disk }, limits: { memoryBytes: TRIAL_MIB * 1024 * 1024 } });
}
