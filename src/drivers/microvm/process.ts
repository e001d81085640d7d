/** A process as the agent is told it. Users and groups stay names: the guest resolves them by the files that the workload sees. Pure. */

import type { GuestProcess } from "../../contract/launch-plan.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";

const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Every capability up to Linux 6.x: within a machine they are power over the machine alone. */
export const ALL_CAPABILITIES: readonly string[] = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW " +
  "IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD " +
  "LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
  .split(" ")
  .map((name) => `CAP_${name}`);

export function composeProcess(process: ProcessSpec, spec: SandboxSpec, kind: "main" | "exec"): GuestProcess {
  const { security, limits } = spec;
  return {
    command: process.command,
    environment: composeEnvironment(process, spec.hostname),
    workingDirectory: process.workingDirectory === "" ? "/" : process.workingDirectory,
    user: process.user,
    additionalGroups: process.additionalGroups,
    terminal: process.terminal,
    ...(process.terminalSize === undefined ? {} : { terminalSize: process.terminalSize }),
    stdin: process.stdin,
    capabilities: security.privileged || process.privileged === true ? ALL_CAPABILITIES : security.capabilities,
    noNewPrivileges: security.noNewPrivileges,
    rlimits: spec.rlimits,
    init: kind === "main" && spec.init,
    ...(limits.oomScoreAdjust === undefined ? {} : { oomScoreAdjust: limits.oomScoreAdjust }),
  };
}

/** Docker's order: PATH, HOSTNAME and TERM may be replaced by what is asked for. HOME is added by the guest, who knows the user. */
function composeEnvironment(process: ProcessSpec, hostname: string): string[] {
  const values = new Map<string, string>();
  const set = (entry: string) => values.set(entry.slice(0, Math.max(0, entry.indexOf("="))) || entry, entry);
  set(DEFAULT_PATH);
  set(`HOSTNAME=${hostname}`);
  if (process.terminal) set("TERM=xterm");
  for (const entry of process.environment) {
    if (entry.includes("=")) set(entry);
    else values.delete(entry); // a bare name takes a variable away
  }
  return [...values.values()];
}
