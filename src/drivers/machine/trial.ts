/**
 * Trials of machines: one is really booted, emulated and then by hardware, and what boots is what is used.
 *
 * A `/dev/kvm` that opens proves nothing: there are hosts on which it makes virtual processors and then boots slower than emulation does
 * (the ADR on the guest kernel has figures). So hardware counts only when its machine is back before the emulated one was. That
 * verdict is kept on disk for this host kernel, monitor and guest: it costs seconds where the answer is no.
 */

import { existsSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Call } from "../../contract/call.ts";
import type { BoundaryDriver, Bundle, Finding } from "../../contract/driver.ts";
import { toFailure } from "../../contract/failure.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import { readHostFacts } from "../../host/host-facts.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { ensureDirectory, writeWhole } from "../../host/workload-files.ts";

export type Trial =
  | { readonly tookMs: number }
  | { readonly failure: { readonly message: string; readonly remedy?: string | undefined }; readonly late?: true };

/** Whether a trial may be remembered. A monitor or a launcher that was killed meanwhile says nothing of the hardware: the next probe tries again. */
export function isVerdict(trial: Trial): trial is { readonly tookMs: number } | (Trial & { readonly late: true }) {
  return "tookMs" in trial || trial.late === true;
}

export interface TrialOrder {
  readonly bundle: () => Promise<Bundle>;
  readonly process: ProcessSpec;
  /** What the trial's machine exits with when all went well. */
  readonly code: number;
  readonly deadlineMs: number;
}

/** A whole life in small: launched, started, run to its end. The caller removes it. */
export async function runTrial(driver: BoundaryDriver, order: TrialOrder, call: Call): Promise<Trial> {
  const { deadlineMs, code } = order;
  try {
    const bundle = await order.bundle();
    const began = performance.now();
    const sandbox = await driver.launch(bundle, order.process, call);
    await sandbox.start(call);
    const reason = await Promise.race([sandbox.ended, sleep(deadlineMs, undefined, { ref: false })]);
    if (reason === undefined) return { failure: { message: `the trial's machine did not end within ${deadlineMs} ms` }, late: true };
    if (reason.kind === "boundary-lost") return { failure: { message: reason.what } };
    if (reason.status.code !== code) return { failure: { message: `the trial's machine exited with ${reason.status.code}` } };
    return { tookMs: Math.round(performance.now() - began) };
  } catch (thrown) {
    const failure = toFailure(thrown);
    return failure.code === "TIMED_OUT" ? { failure, late: true } : { failure };
  }
}

export interface HardwareTrial {
  /** Where the verdict is kept. */
  readonly record: string;
  /** What the verdict depends on beside the host's kernel. */
  readonly of: readonly string[];
  /** What emulation needed. */
  readonly deadlineMs: number;
  boot(): Promise<Trial>;
}

export async function judgeHardware(trial: HardwareTrial, call: Call): Promise<Finding> {
  const id = "kvm-boots";
  const { record, deadlineMs } = trial;
  const emulation = "machines are emulated, which is no security boundary";
  if (!existsSync("/dev/kvm")) {
    return {
      id,
      level: "warning",
      what: `There is no /dev/kvm: ${emulation}`,
      remedy: "Use a host with virtualisation, switch it on in the firmware, or allow it nested, and modprobe kvm_intel or kvm_amd",
    };
  }
  const remedy = `Use a host whose KVM is real; then delete probe/${record.slice(record.lastIndexOf("/") + 1)} below Bulkhead's root`;
  const key = [readHostFacts().kernelRelease, ...trial.of].join(" ");
  const known = readVerdict(record, key);
  if (known !== undefined)
    return known
      ? { id, level: "ok", what: "KVM booted a machine when it was last tried" }
      : { id, level: "warning", what: `KVM was slower than emulation when it was last tried: ${emulation}`, remedy };
  const tried = await trial.boot();
  if (call.signal.aborted) return { id, level: "warning", what: "The trial of KVM was given up", remedy };
  if (!isVerdict(tried))
    return { id, level: "warning", what: `The trial of KVM came to no verdict (${tried.failure.message}): ${emulation}`, remedy: NO_VERDICT_REMEDY };
  const works = !("failure" in tried);
  ensureDirectory(dirname(record), 0o711);
  writeWhole(record, JSON.stringify({ version: 1, key, works }));
  if (works) return { id, level: "ok", what: `KVM booted a machine and ran its program in ${tried.tookMs} ms` };
  return { id, level: "warning", what: `KVM opens and does not boot a machine within the ${deadlineMs} ms that emulation needs: ${emulation}`, remedy };
}

const NO_VERDICT_REMEDY =
  "Where it says permission denied, let a group use the device, as its monitor is not root: groupadd -f -r kvm; chgrp kvm /dev/kvm && chmod 660 /dev/kvm; then bulkhead doctor --fresh";

function readVerdict(record: string, key: string): boolean | undefined {
  try {
    const said = JSON.parse(readFileSync(record, "utf8")) as { version?: unknown; key?: unknown; works?: unknown };
    return said.version === 1 && said.key === key && typeof said.works === "boolean" ? said.works : undefined;
  } catch {
    return undefined;
  }
}

/** Without it machines run all the same, with no network. */
export async function tryTun(launcher: Launcher): Promise<Finding> {
  const id = "tun-works";
  const remedy = "modprobe tun";
  try {
    const { works, detail } = await launcher.request("probe", { what: "tun" });
    return works ? { id, level: "ok", what: detail } : { id, level: "warning", what: detail, remedy };
  } catch (thrown) {
    return { id, level: "warning", what: toFailure(thrown).message, remedy };
  }
}
