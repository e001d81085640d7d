/**
 * Finds out whether machines run here by booting one and waiting for a program's exit inside it, first emulated, then by hardware.
 *
 * A `/dev/kvm` that opens proves nothing: there are hosts on which it makes virtual processors and then boots slower than emulation does
 * (the ADR on the guest kernel has figures). So hardware counts only when its machine is back before the emulated one was. That
 * verdict is kept on disk for this host kernel, monitor and guest: it costs seconds where the answer is no.
 */

import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readHostFacts, findProgram } from "../../host/host-facts.ts";
import type { Call } from "../../contract/call.ts";
import type { BoundaryDriver, Bundle, Finding, ProbeReport } from "../../contract/driver.ts";
import { toFailure } from "../../contract/failure.ts";
import { plainProcess, type ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { copyWhole, ensureDirectory, writeWhole } from "../../host/workload-files.ts";
import { createTrialSpec } from "../../host/trial-spec.ts";
import { fingerprint } from "./fingerprint.ts";
import { findKernel, type GuestKernel } from "./kernels.ts";
import { findLibraries } from "./libraries.ts";
import { MICROVM_FACETS } from "./sandbox.ts";
import { microvmTraitNames } from "./traits.ts";

export interface UsableMachines {
  readonly program: string;
  readonly version: string;
  readonly systemFiles: readonly string[];
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
const QEMU = process.arch === "arm64" ? "qemu-system-aarch64" : "qemu-system-x86_64";
const QEMU_PACKAGE = process.arch === "arm64" ? "qemu-system-arm" : "qemu-system-x86";
/** A busy host may take long; a broken one for ever. */
const EMULATED_DEADLINE_MS = 60_000;
const LEAST_DEADLINE_MS = 10_000;
/** The guest's own init says so when it is not process 1. */
const TRIAL_CODE = 64;
/** Findings that a file mends, without a boot to tell. */
const MISSING_FILES: readonly string[] = ["qemu-installed", "guest-kernel-there"];
const QEMU_DATA = ["/usr/share/qemu/qboot.rom", "/usr/share/qemu/bios-microvm.bin", "/usr/share/seabios/bios-microvm.bin"];

export async function probeMachines(context: ProbeContext, call: Call): Promise<Probed> {
  const findings: Finding[] = [];
  const lacking = (id: string, what: string, remedy: string): Probed => conclude([...findings, { id, level: "missing", what, remedy }], undefined);
  const program = context.qemu ?? findProgram(QEMU);
  if (program === undefined || !existsSync(program))
    return lacking("qemu-installed", `${program ?? QEMU} is not installed`, `apt-get install --no-install-recommends ${QEMU_PACKAGE}`);
  const search = findKernel({ cache: DEFAULT_KERNELS, ...context, ...(context.kernels === undefined ? {} : { cache: context.kernels }) });
  if ("missing" in search) return lacking("guest-kernel-there", search.missing, search.remedy);
  let version: string;
  try {
    const { stdout } = await context.launcher.request("run", { program: QEMU, arguments: ["--version"], deadlineMs: 5000 });
    version = /version (\S+)/.exec(stdout)?.[1] ?? "unknown";
  } catch (thrown) {
    const failure = toFailure(thrown);
    return lacking("qemu-answers", failure.message, failure.remedy ?? "See the launcher's log");
  }
  findings.push(await tryTun(context));
  const emulated: UsableMachines = {
    program,
    version,
    systemFiles: systemFilesOf(program),
    kernel: search.kernel,
    kvm: false,
    bootDeadlineMs: EMULATED_DEADLINE_MS,
  };
  const trial = await tryBoot(context, emulated, call);
  if ("failure" in trial)
    return lacking("machine-boots", `An emulated machine does not boot here: ${trial.failure.message}`, bootRemedy(context, search.kernel));
  const { tookMs } = trial;
  findings.push({ id: "machine-boots", level: "ok", what: `qemu ${version} booted ${search.kernel.vmlinux}, emulated, and ran a program in ${tookMs} ms` });
  const hardware = await tryHardware(context, { ...emulated, kvm: true, bootDeadlineMs: tookMs }, call);
  findings.push(hardware);
  const usable = { ...emulated, kvm: hardware.level === "ok", bootDeadlineMs: Math.max(LEAST_DEADLINE_MS, tookMs * 20) };
  return conclude(findings, { ...usable, fingerprint: await fingerprint(usable) });
}

/** Where the kernel came from is where it is mended. */
function bootRemedy({ kernel }: ProbeContext, { vmlinux }: GuestKernel): string {
  if (kernel !== undefined) return "Mend machine.kernel and machine.initrd in the configuration, or leave both out, and start the daemon anew";
  return `Remove ${dirname(vmlinux)}, make it again with: sh scripts/kernel/prepare.sh, and start the daemon anew`;
}

/** Whether a probe could say something else now, at no cost: what it needs was not there and may be, or was there and is gone. */
export function mayHaveChanged({ machines, report }: Probed): boolean {
  if (machines === undefined) return report.findings.some(({ id, level }) => level === "missing" && MISSING_FILES.includes(id));
  return [machines.program, machines.kernel.vmlinux, machines.kernel.initrd].some((path) => !existsSync(path));
}

function conclude(findings: readonly Finding[], machines: UsableMachines | undefined): Probed {
  if (machines === undefined) return { report: { kind: "microvm", usable: false, findings, facets: [] }, machines };
  const identity = { kind: "microvm", engine: "qemu", version: machines.version, emulated: !machines.kvm, traits: microvmTraitNames(!machines.kvm) } as const;
  return { report: { kind: "microvm", usable: true, identity, findings, facets: [...MICROVM_FACETS] }, machines };
}

/** Without it machines run all the same, with no network. */
async function tryTun(context: ProbeContext): Promise<Finding> {
  const id = "tun-works";
  const remedy = "modprobe tun";
  try {
    const { works, detail } = await context.launcher.request("probe", { what: "tun" });
    return works ? { id, level: "ok", what: detail } : { id, level: "warning", what: detail, remedy };
  } catch (thrown) {
    return { id, level: "warning", what: toFailure(thrown).message, remedy };
  }
}

/** Libraries, the accelerator's module where the distribution has it apart, and the firmware of machine type `microvm`. */
function systemFilesOf(program: string): string[] {
  const architecture = QEMU.slice("qemu-system-".length);
  const modules = ["/usr/lib/x86_64-linux-gnu/qemu", "/usr/lib/aarch64-linux-gnu/qemu", "/usr/lib/qemu"].map(
    (directory) => `${directory}/accel-tcg-${architecture}.so`,
  );
  const own = [...modules, ...QEMU_DATA].filter((path) => existsSync(path));
  return [...findLibraries([program, ...own.filter((path) => path.endsWith(".so"))]), ...own];
}

async function tryHardware(context: ProbeContext, machines: UsableMachines, call: Call): Promise<Finding> {
  const id = "kvm-boots";
  const emulation = "machines are emulated, which is no security boundary";
  if (!existsSync("/dev/kvm")) {
    return {
      id,
      level: "warning",
      what: `There is no /dev/kvm: ${emulation}`,
      remedy: "Use a host with virtualisation, switch it on in the firmware, or allow it nested, and modprobe kvm_intel or kvm_amd",
    };
  }
  const remedy = "Use a host whose KVM is real; then delete probe/kvm.json below Bulkhead's root";
  const key = [readHostFacts().kernelRelease, machines.version, machines.kernel.vmlinux, machines.kernel.initrd].join(" ");
  const record = join(context.root, "probe/kvm.json");
  const known = readVerdict(record, key);
  if (known !== undefined)
    return known
      ? { id, level: "ok", what: "KVM booted a machine when it was last tried" }
      : { id, level: "warning", what: `KVM was slower than emulation when it was last tried: ${emulation}`, remedy };
  const trial = await tryBoot(context, machines, call);
  if (call.signal.aborted) return { id, level: "warning", what: "The trial of KVM was given up", remedy };
  const works = !("failure" in trial);
  if (!isVerdict(trial))
    return { id, level: "warning", what: `The trial of KVM came to no verdict (${trial.failure.message}): ${emulation}`, remedy: "bulkhead doctor --fresh" };
  ensureDirectory(join(context.root, "probe"), 0o711);
  writeWhole(record, JSON.stringify({ version: 1, key, works }));
  if (works) return { id, level: "ok", what: `KVM booted a machine and ran a program in ${trial.tookMs} ms` };
  return {
    id,
    level: "warning",
    what: `KVM opens and does not boot a machine within the ${machines.bootDeadlineMs} ms that emulation needs: ${emulation}`,
    remedy,
  };
}

function readVerdict(record: string, key: string): boolean | undefined {
  try {
    const said = JSON.parse(readFileSync(record, "utf8")) as { version?: unknown; key?: unknown; works?: unknown };
    return said.version === 1 && said.key === key && typeof said.works === "boolean" ? said.works : undefined;
  } catch {
    return undefined;
  }
}

export type Trial =
  | { readonly tookMs: number }
  | { readonly failure: { readonly message: string; readonly remedy?: string | undefined }; readonly late?: true };

/** Whether a trial may be remembered. A monitor or a launcher that was killed meanwhile says nothing of the hardware: the next probe tries again. */
export function isVerdict(trial: Trial): trial is { readonly tookMs: number } | (Trial & { readonly late: true }) {
  return "tookMs" in trial || trial.late === true;
}

/** A whole life in small: the guest's own init as a program in an otherwise empty image, run to its end and removed. */
async function tryBoot(context: ProbeContext, machines: UsableMachines, call: Call): Promise<Trial> {
  const workload = randomBytes(32).toString("hex");
  const directory = join(context.root, "probe", workload);
  const bundle = { kind: "microvm", workload, directory } as const;
  try {
    const image = await trialImage(context);
    const began = performance.now();
    const sandbox = await context.driver.launch(context.bundleFor(machines, trialSpec(workload, image), directory), trialProcess, call);
    await sandbox.start(call);
    const reason = await Promise.race([sandbox.ended, sleep(machines.bootDeadlineMs, undefined, { ref: false })]);
    if (reason === undefined) return { failure: { message: `the trial's program did not end within ${machines.bootDeadlineMs} ms` }, late: true };
    if (reason.kind === "boundary-lost") return { failure: { message: reason.what } };
    if (reason.status.code !== TRIAL_CODE) return { failure: { message: `the trial's program exited with ${reason.status.code}` } };
    return { tookMs: Math.round(performance.now() - began) };
  } catch (thrown) {
    const failure = toFailure(thrown);
    return failure.code === "TIMED_OUT" ? { failure, late: true } : { failure };
  } finally {
    await context.driver.remove(bundle, call).catch(() => undefined);
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
