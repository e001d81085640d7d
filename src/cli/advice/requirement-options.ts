/** The requirements as options: one for each field of the schema, so that a question can be asked in one line. */

import type { OptionDefinition } from "../command.ts";
import { UsageError } from "../command.ts";
import type { Flags } from "../flags.ts";
import { parseBytes } from "../format/quantity.ts";

interface Field {
  readonly option: OptionDefinition;
  /** Where it goes: `kernel.own`. */
  readonly place: string;
  readonly read: (flags: Flags, name: string) => unknown;
}

const text = (name: string, place: string, help: string, choices: readonly string[]): Field => ({
  option: { name, kind: "text", value: "VALUE", help, choices },
  place,
  read: (flags) => flags.text(name),
});
const free = (name: string, place: string, value: string, help: string): Field => ({
  option: { name, kind: "text", value, help },
  place,
  read: (flags) => flags.text(name),
});
const flag = (name: string, place: string, help: string): Field => ({ option: { name, kind: "flag", help }, place, read: (flags) => flags.on(name) });
const number = (name: string, place: string, value: string, help: string): Field => ({
  option: { name, kind: "number", value, help },
  place,
  read: (flags) => flags.number(name),
});
const bytes = (name: string, place: string, help: string): Field => ({
  option: { name, kind: "text", value: "BYTES", help },
  place,
  read: (flags) => parseBytes(flags.text(name) ?? "", `--${name}`),
});
const list = (name: string, place: string, value: string, help: string): Field => ({
  option: { name, kind: "list", value, help },
  place,
  read: (flags) => flags.list(name),
});

const LEVELS = ["low", "high"];

const FIELDS: readonly Field[] = [
  text("trust", "trust", "Who wrote the code", ["own", "partner", "untrusted"]),
  text("tenancy", "tenancy", "Do parties that must not see each other share the host?", ["single", "multi"]),
  text("artifact", "artifact", "What is to run", ["oci-image", "disk-image", "wasm-module"]),
  text("compliance", "compliance", "The wall that a rule-book demands", ["none", "kernel-separation", "hypervisor", "confidential"]),
  text("os", "guest.os", "Its operating system", ["linux", "windows", "freebsd", "openbsd", "other"]),
  text("arch", "guest.architecture", "Its architecture", ["amd64", "arm64", "riscv64", "any"]),
  flag("own-kernel", "kernel.own", "It must have a kernel that is not the host's"),
  free("kernel", "kernel.version", "RANGE", "The kernel it needs, as in >=6.8 or 4.19.x"),
  list("module", "kernel.modules", "NAME", "A kernel module that it loads"),
  list("kernel-sysctl", "kernel.sysctls", "NAME", "A kernel-wide setting that it changes"),
  flag("ebpf", "kernel.ebpf", "It loads eBPF programs of its own"),
  flag("realtime", "kernel.realtime", "It needs a real-time kernel"),
  number("startup-ms", "budgets.startupMs", "MS", "The longest start that it bears"),
  bytes("memory-overhead", "budgets.memoryOverheadBytes", "The most memory that the boundary may take for each instance"),
  number("instances", "budgets.instancesPerHost", "N", "How many of them one host must hold"),
  number("cpu-overhead", "budgets.cpuOverheadPercent", "PERCENT", "The most that computing may cost beyond the plain host"),
  bytes("memory", "size.memoryBytes", "What one instance itself uses"),
  number("cpus", "size.cpus", "N", "Processors of one instance"),
  text("state", "state", "What it keeps; pet: patched in place on a disk of its own", ["stateless", "volume", "pet"]),
  text("lifetime", "lifetime", "How long one instance lives", ["milliseconds", "seconds", "hours", "months"]),
  flag("init-system", "initSystem", "It expects systemd, cron and the rest of an operating system"),
  text("cpu-use", "intensity.cpu", "Computing", LEVELS),
  text("syscall-use", "intensity.syscalls", "System calls", LEVELS),
  text("disk-use", "intensity.disk", "Disk work", LEVELS),
  text("network-use", "intensity.network", "Network work", LEVELS),
  text("gpu", "gpu", "A GPU", ["none", "shared", "whole"]),
  text("nested", "nested", "What it must itself run inside", ["none", "docker", "virtual-machine"]),
  list("privilege", "privileges", "NAME", "privileged, docker.sock, CAP_*, host-network, host-pid, host-path:/…, device:/dev/…"),
  list("weight", "weights", "NAME=N", "How much security, speed and cost count; 1 each unless said"),
];

export const REQUIREMENT_OPTIONS: readonly OptionDefinition[] = FIELDS.map(({ option }) => option);

/** Only what was said: the rest is for the daemon to assume by name. */
export function readRequirements(flags: Flags): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const { option, place, read } of FIELDS) {
    if (!flags.given(option.name)) continue;
    const value = option.name === "weight" ? readWeights(flags.list("weight")) : read(flags, option.name);
    const [outer, inner] = place.split(".") as [string, string?];
    found[outer] = inner === undefined ? value : { ...(found[outer] as object | undefined), [inner]: value };
  }
  return found;
}

function readWeights(words: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    words.map((word) => {
      const [name = "", value = ""] = word.split("=");
      if (value === "" || !Number.isFinite(Number(value))) throw new UsageError(`--weight takes NAME=N, as in security=3, not ${JSON.stringify(word)}`);
      return [name, Number(value)];
    }),
  );
}
