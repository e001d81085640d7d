/** Docker's guards, complete and explicit, so that no driver has defaults of its own. */

import { Failure, quote } from "../contract/failure.ts";
import type { SecuritySpec } from "../contract/spec.ts";
import type { SecurityRequest } from "./index.ts";

const caps = (text: string): readonly string[] =>
  text
    .trim()
    .split(/\s+/)
    .map((name) => `CAP_${name}`);

/** capabilities(7), in the kernel's order. */
const ALL = caps(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST
  NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
  SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`);

const DEFAULT = caps("CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE");

export const MASKED = ["asound", "acpi", "interrupts", "kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug", "scsi"]
  .map((name) => `/proc/${name}`)
  .concat("/sys/firmware", "/sys/devices/virtual/powercap");

export const READ_ONLY = ["bus", "fs", "irq", "sys", "sysrq-trigger"].map((name) => `/proc/${name}`);

export function buildSecurity(request: SecurityRequest): SecuritySpec {
  const { privileged } = request;
  return {
    privileged,
    capabilities: privileged ? ALL : chooseCapabilities(request.capabilitiesAdd, request.capabilitiesDrop),
    noNewPrivileges: request.noNewPrivileges ?? false,
    seccomp: request.seccomp ?? (privileged ? "unconfined" : "default"),
    ...(request.appArmor === undefined ? {} : { appArmor: request.appArmor }),
    readOnlyRoot: request.readOnlyRoot,
    maskedPaths: privileged ? [] : (request.maskedPaths ?? MASKED),
    readOnlyPaths: privileged ? [] : (request.readOnlyPaths ?? READ_ONLY),
    hostNamespaces: request.hostNamespaces,
    devices: request.devices,
  };
}

/** Docker's rule: drop ALL begins at nothing, add ALL at everything; what is added by name wins over drop ALL. Rejects INVALID_SPEC. */
export function chooseCapabilities(add: readonly string[], drop: readonly string[]): readonly string[] {
  const added = add.map(normalise);
  const dropped = drop.map(normalise);
  const base = added.includes("ALL") ? ALL : dropped.includes("ALL") ? [] : DEFAULT;
  const chosen = base.filter((name) => !dropped.includes(name));
  for (const name of added) if (name !== "ALL" && !chosen.includes(name)) chosen.push(name);
  return chosen;
}

function normalise(asked: string): string {
  const upper = asked.toUpperCase();
  if (upper === "ALL") return upper;
  const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  if (ALL.includes(name)) return name;
  throw new Failure("INVALID_SPEC", `invalid capability: ${quote(asked)}`, { remedy: "Use a name from capabilities(7), with or without CAP_." });
}
