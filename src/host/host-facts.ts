/** What this host is, as far as it can be read without doing anything. */

import { accessSync, constants, readFileSync, statfsSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";

export interface HostFacts {
  /** In Go's words, which image configurations use: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly kernelRelease: string;
  readonly kernelMajor: number;
  readonly kernelMinor: number;
  /** Bit mask of the capabilities that root may have here: kernels differ, and a host that is itself confined has fewer. */
  readonly capabilityMask: bigint;
}

const GO_ARCHITECTURE: Readonly<Record<string, string>> = {
  x64: "amd64",
  ia32: "386",
  arm64: "arm64",
  arm: "arm",
  riscv64: "riscv64",
  ppc64: "ppc64le",
  s390x: "s390x",
  loong64: "loong64",
};

/** Of the filesystem that the path lies on, whoever uses it. */
export function readDiskBytes(path: string): number {
  const { blocks, bsize } = statfsSync(path);
  return blocks * bsize;
}

/** Another at every start of the kernel. */
export function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

export function readHostFacts(): HostFacts {
  const kernelRelease = release();
  const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(kernelRelease) ?? [];
  return {
    architecture: GO_ARCHITECTURE[process.arch] ?? process.arch,
    kernelRelease,
    kernelMajor: Number(major),
    kernelMinor: Number(minor),
    capabilityMask: readCapabilityMask(),
  };
}

function readCapabilityMask(): bigint {
  const [, digits] = /^CapBnd:\s+([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return digits === undefined ? 0n : BigInt(`0x${digits}`);
}

const PROGRAM_DIRECTORIES = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Absolute path of an installed program; never from the caller's PATH, which is not the operator's word. */
export function findProgram(name: string): string | undefined {
  for (const directory of PROGRAM_DIRECTORIES) {
    const path = join(directory, name);
    if (isExecutable(path)) return path;
  }
  return undefined;
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
