/** Finds out whether machines with our agent run here by booting one and waiting for a program's exit inside it, first emulated, then by hardware. */

import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Call } from "../../contract/call.ts";
import type { BoundaryDriver, Bundle, Finding, ProbeReport } from "../../contract/driver.ts";
import { plainProcess, type ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { copyWhole, ensureDirectory, writeWhole } from "../../host/workload-files.ts";
import { createTrialSpec } from "../../host/trial-spec.ts";
import { fingerprint } from "./fingerprint.ts";
import { findKernel, type GuestKernel, prepareCommand } from "./kernels.ts";
import { judgeOwnKernel } from "./own-kernel.ts";
import { findMonitor, MONITOR_MISSING, machineTraitNames, type FoundMonitor } from "../machine/monitor.ts";
import { judgeHardware, runTrial, type Trial, tryTun } from "../machine/trial.ts";
import { MICROVM_FACETS } from "./sandbox.ts";

export interface UsableMachines extends FoundMonitor {
  readonly kernel: GuestKernel;
  readonly kvm: boolean;
  readonly bootDeadlineMs: number;
  /** Absent in trials: they are never begun from a template. */
  readonly fingerprint?: string;
}

export interface Probed {
  readonly report: ProbeReport;
  readonly machines: UsableMachines | undefined;
}

export interface ProbeContext {
  readonly launcher: Launcher;
  readonly root: string;
  readonly guestPrograms: readonly string[];
  readonly kernels?: string;
  readonly kernel?: string;
  readonly initrd?: string;
  readonly qemu?: string;
  readonly driver: BoundaryDriver;
  bundleFor(machines: UsableMachines, spec: SandboxSpec, directory: string): Bundle;
}

const DEFAULT_KERNELS = "/var/cache/bulkhead/kernel";
/** A busy host may take long; a broken one for ever. */
const EMULATED_DEADLINE_MS = 60_000;
const LEAST_DEADLINE_MS = 10_000;
/** The guest's own init says so when it is not process 1. */
const TRIAL_CODE = 64;
/** Findings that a file mends, without a boot to tell. */
const MISSING_FILES: readonly string[] = [MONITOR_MISSING, "guest-kernel-there"];
const QEMU_DATA = ["/usr/share/qemu/qboot.rom", "/usr/share/qemu/bios-microvm.bin", "/usr/share/seabios/bios-microvm.bin"];

export async function probeMachines(context: ProbeContext, call: Call): Promise<Probed> {
  const findings: Finding[] = [];
  const lacking = (missing: Finding): Probed => conclude([...findings, missing], undefined);
  const monitor = await findMonitor(context, QEMU_DATA);
  if ("missing" in monitor) return lacking(monitor.missing);
  const places = { ...context, cache: context.kernels ?? DEFAULT_KERNELS };
  const search = findKernel(places);
  if ("missing" in search) return lacking({ id: "guest-kernel-there", level: "missing", what: search.missing, remedy: search.remedy });
  const { version } = monitor;
  findings.push(await tryTun(context.launcher));
  const emulated: UsableMachines = { ...monitor, kernel: search.kernel, kvm: false, bootDeadlineMs: EMULATED_DEADLINE_MS };
  const trial = await tryBoot(context, emulated, call);
  if ("failure" in trial)
    return lacking({
      id: "machine-boots",
      level: "missing",
      what: `An emulated machine does not boot here: ${trial.failure.message}`,
      remedy: bootRemedy(context, search.kernel),
    });
  const { tookMs } = trial;
  findings.push({ id: "machine-boots", level: "ok", what: `qemu ${version} booted ${search.kernel.vmlinux}, emulated, and ran a program in ${tookMs} ms` });
  const slower = judgeOwnKernel(search.kernel, places);
  if (slower !== undefined) findings.push(slower);
  const byHardware = { ...emulated, kvm: true, bootDeadlineMs: tookMs };
  const { vmlinux, initrd } = search.kernel;
  const order = { record: join(context.root, "probe/kvm.json"), of: [version, vmlinux, initrd], deadlineMs: tookMs };
  const hardware = await judgeHardware({ ...order, boot: () => tryBoot(context, byHardware, call) }, call);
  findings.push(hardware);
  const usable = { ...emulated, kvm: hardware.level === "ok", bootDeadlineMs: Math.max(LEAST_DEADLINE_MS, tookMs * 20) };
  return conclude(findings, { ...usable, fingerprint: await fingerprint(usable) });
}

/** Where the kernel came from is where it is mended. */
function bootRemedy({ kernel }: ProbeContext, { vmlinux }: GuestKernel): string {
  if (kernel !== undefined) return "Mend machine.kernel and machine.initrd in the configuration, or leave both out, and start the daemon anew";
  return `Remove ${dirname(vmlinux)}, make it again with: ${prepareCommand()}, and start the daemon anew`;
}

/** Whether a probe could say something else now, at no cost: what it needs was not there and may be, or was there and is gone. */
export function mayHaveChanged({ machines, report }: Probed): boolean {
  if (machines === undefined) return report.findings.some(({ id, level }) => level === "missing" && MISSING_FILES.includes(id));
  return [machines.program, machines.kernel.vmlinux, machines.kernel.initrd].some((path) => !existsSync(path));
}

function conclude(findings: readonly Finding[], machines: UsableMachines | undefined): Probed {
  if (machines === undefined) return { report: { kind: "microvm", usable: false, findings, facets: [] }, machines };
  const identity = { kind: "microvm", engine: "qemu", version: machines.version, emulated: !machines.kvm, traits: machineTraitNames(!machines.kvm) } as const;
  return { report: { kind: "microvm", usable: true, identity, findings, facets: [...MICROVM_FACETS] }, machines };
}

/** The guest's own init as a program in an otherwise empty image, run to its end and removed. */
async function tryBoot(context: ProbeContext, machines: UsableMachines, call: Call): Promise<Trial> {
  const workload = randomBytes(32).toString("hex");
  const directory = join(context.root, "probe", workload);
  const bundle = async () => context.bundleFor(machines, trialSpec(workload, await trialImage(context)), directory);
  try {
    return await runTrial(context.driver, { bundle, process: trialProcess, code: TRIAL_CODE, deadlineMs: machines.bootDeadlineMs }, call);
  } finally {
    await context.driver.remove({ kind: "microvm", workload, directory }, call).catch(() => undefined);
  }
}

/** Made once for each guest init. */
async function trialImage(context: ProbeContext): Promise<{ path: string; bytes: number }> {
  const program = context.guestPrograms.find((path) => existsSync(path)) ?? "";
  const place = join(context.root, "probe", `trial-${readFileSync(program).length}`);
  const image = { path: `${place}.erofs`, record: `${place}.json` };
  if (!existsSync(image.record)) {
    ensureDirectory(place, 0o755);
    copyWhole(program, join(place, "probe"));
    const { bytes } = existsSync(image.path) ? { bytes: Number.NaN } : await context.launcher.request("layerImage", { directory: place, file: image.path });
    writeWhole(image.record, JSON.stringify({ bytes: Number.isNaN(bytes) ? readFileSync(image.path).length : bytes }));
  }
  return { path: image.path, bytes: (JSON.parse(readFileSync(image.record, "utf8")) as { bytes: number }).bytes };
}

const trialProcess: ProcessSpec = plainProcess(["/probe"]);

function trialSpec(workload: string, image: { path: string; bytes: number }): SandboxSpec {
  return createTrialSpec({
    workload,
    root: { form: "block-image", drive: { path: image.path, format: "raw" }, extents: [], layers: [{ offsetBytes: 0, lengthBytes: image.bytes }] },
    limits: { memoryBytes: 64 * 1024 * 1024, diskBytes: 16 * 1024 * 1024 },
    // As process 1 the guest's init would take the sandbox for a machine.
    init: true,
  });
}
