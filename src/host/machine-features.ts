/** What this host's processor, kernel and devices offer beyond the ordinary, read and not tried: the advisor's facts. */

import { existsSync, readdirSync, readFileSync } from "node:fs";

export interface MachineFeatures {
  /** The processor's memory encryption for guests is switched on in the kernel (SEV-SNP, TDX). */
  readonly confidential: boolean;
  readonly gpu: boolean;
  /** The running kernel is PREEMPT_RT. */
  readonly realtime: boolean;
  /** The virtualisation module lets guests virtualise. Whether virtualisation is usable at all is the probes' to say. */
  readonly nestedVirtualisation: boolean;
}

export function readMachineFeatures(): MachineFeatures {
  return {
    confidential: isOn("/sys/module/kvm_amd/parameters/sev_snp") || isOn("/sys/module/kvm_intel/parameters/tdx"),
    gpu: existsSync("/dev/nvidiactl") || existsSync("/dev/kfd") || hasRenderNode(),
    realtime: isOn("/sys/kernel/realtime"),
    nestedVirtualisation: isOn("/sys/module/kvm_intel/parameters/nested") || isOn("/sys/module/kvm_amd/parameters/nested"),
  };
}

function hasRenderNode(): boolean {
  try {
    return readdirSync("/dev/dri").some((name) => name.startsWith("renderD"));
  } catch {
    return false; // no graphics at all
  }
}

function isOn(path: string): boolean {
  try {
    return /^[1Y]/i.test(readFileSync(path, "utf8"));
  } catch {
    return false; // not on this kernel
  }
}
