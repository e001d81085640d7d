/** What this host is, as far as a reader of figures must know. */

import { readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";

export interface HostDescription {
  readonly kernel: string;
  readonly architecture: string;
  readonly processor: string;
  readonly processors: number;
  readonly memoryBytes: number;
  /** The hypervisor beneath, where this host is itself a guest and says so; `none` else. */
  readonly guestOf: string;
  readonly distribution: string;
}

export function describeHost(): HostDescription {
  return {
    kernel: release(),
    architecture: process.arch,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    processors: availableParallelism(),
    memoryBytes: totalmem(),
    guestOf: findHypervisor(),
    distribution: /^PRETTY_NAME="?([^"\n]*)/m.exec(read("/etc/os-release"))?.[1] ?? "unknown",
  };
}

function findHypervisor(): string {
  if (!/^flags\s*:.*\bhypervisor\b/m.test(read("/proc/cpuinfo"))) return "none";
  const product = read("/sys/class/dmi/id/product_name").trim();
  const vendor = read("/sys/class/dmi/id/sys_vendor").trim();
  const named = `${vendor} ${product}`.trim();
  if (named !== "") return named;
  return /fc-v?\d/.test(release()) ? "Firecracker (by the kernel's name)" : "a hypervisor without a name";
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
