/** Capabilities by their numbers in the kernel (linux/capability.h), and what becomes of a wish on a host that has fewer. */

import { Failure } from "../../contract/failure.ts";
import type { SandboxSpec } from "../../contract/spec.ts";

const NAMES: readonly string[] = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW " +
  "IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD " +
  "LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
  .split(" ")
  .map((name) => `CAP_${name}`);

export function namesOf(mask: bigint): readonly string[] {
  return NAMES.filter((_, number) => ((mask >> BigInt(number)) & 1n) === 1n);
}

/**
 * `--privileged` asks for all there are. Anything else is asked for by name, and is there or refused: a capability that is
 * quietly missing shows itself as a strange error much later. Rejects UNAVAILABLE.
 */
export function grantCapabilities(spec: SandboxSpec, available: readonly string[]): readonly string[] {
  const { capabilities, privileged } = spec.security;
  if (privileged) return available;
  const missing = capabilities.find((name) => !available.includes(name));
  if (missing === undefined) return capabilities;
  throw new Failure("UNAVAILABLE", `This host has no ${missing} to give`, {
    workload: spec.workload,
    boundary: "container",
    remedy: `Run without it (--cap-drop ${missing.slice(4)}), or start the launcher where root is not confined`,
  });
}
