/** Capabilities beyond Docker's fourteen, by what each is good for. */

import type { Severity } from "../finding.ts";
import { cis, OWN_KERNEL, type Rule } from "../rule.ts";

/** Docker's default set: asking for one of these adds nothing. */
const DEFAULTS = new Set([
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "MKNOD",
  "NET_BIND_SERVICE",
  "NET_RAW",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
]); // prettier-ignore

/** How grave, why, and the attempts that show it. */
const KNOWN: Readonly<Record<string, readonly [Severity, string, ...string[]]>> = {
  ALL: ["critical", "It has every capability: it loads kernel modules and mounts what it likes."],
  SYS_ADMIN: [
    "critical",
    "It mounts; with control groups of version 1 it writes release_agent and has a program run as root on the host (CVE-2022-0492).",
    "cgroup-mount",
  ],
  SYS_MODULE: ["critical", "It loads a kernel module: its code runs in the host's kernel."],
  SYS_RAWIO: ["critical", "It reads and writes ports and memory of the host."],
  BPF: ["high", "It loads programs into the host's kernel, whose verifier has had holes."],
  PERFMON: ["high", "It watches every process of the host."],
  SYS_PTRACE: ["high", "It reads and writes processes that it can see: with the host's pid namespace, all of them.", "process-root", "ptrace"],
  DAC_READ_SEARCH: ["high", "It opens any file of the filesystem below by its handle, outside its own root (open_by_handle_at).", "file-handle"],
  SYS_BOOT: ["high", "It restarts the host, or loads another kernel."],
  SYS_TIME: ["medium", "It sets the host's clock: certificates and logs go by it."],
  SYSLOG: ["medium", "It reads the kernel's log and addresses."],
  MAC_ADMIN: ["high", "It changes the security module's policy."],
  MAC_OVERRIDE: ["high", "It passes by the security module's policy."],
  NET_ADMIN: ["medium", "It changes addresses, routes and filters of its network namespace: with the host's, the host's."],
  SYS_RESOURCE: ["medium", "It passes by limits and quotas."],
  SYS_NICE: ["low", "It takes processor time from its neighbours."],
  IPC_LOCK: ["low", "It locks memory."],
  AUDIT_CONTROL: ["medium", "It changes what the host's audit records."],
};

export const CAPABILITY_RULES: readonly Rule[] = [
  {
    id: "BH003",
    title: "Capabilities beyond the default",
    severity: "medium",
    gains: "host root",
    attack: "Each is a part of root's power over the kernel that the workload talks to.",
    find: ({ capabilitiesAdded, privileged }) =>
      privileged
        ? [] // told as BH002
        : capabilitiesAdded
            .filter((name) => !DEFAULTS.has(name))
            .map((capability) => {
              const [severity, attack, ...tests] = KNOWN[capability] ?? ["medium", "It is a part of root's power over the kernel."];
              return {
                where: "HostConfig.CapAdd",
                what: `it has ${capability === "ALL" ? "all capabilities" : `CAP_${capability}`}`,
                fix: `Leave --cap-add ${capability} out, or put the workload behind a machine, where the capability is over its own kernel.`,
                edits: [{ kind: "without-capability", capability }],
                severity,
                attack,
                tests,
              };
            }),
    mayBreak: true,
    losesForceOn: OWN_KERNEL,
    sources: [cis("5.3"), "capabilities(7)"],
  },
];
