/** Ways from the workload into the host. */

import { isApiSocket, overlaps } from "../../contract/privilege.ts";
import { cis, OWN_KERNEL, OWN_MACHINE, type Rule } from "../rule.ts";
import type { MountView, Namespace } from "../view.ts";
import { sensitivityOf } from "./paths.ts";

const bindOf = (mount: MountView): boolean => mount.source.startsWith("/");

const NAMESPACES: readonly {
  namespace: Namespace;
  id: string;
  field: string;
  severity: "high" | "medium" | "low";
  attack: string;
  source: string;
  tests?: readonly string[];
}[] = [
  {
    namespace: "pid",
    id: "BH004",
    field: "HostConfig.PidMode",
    severity: "high",
    attack: "It sees every process of the host with its arguments and, as root, signals them; with SYS_PTRACE it becomes any of them.",
    source: cis("5.15"),
    tests: ["host-pid", "process-root", "ptrace"],
  },
  {
    namespace: "network",
    id: "BH005",
    field: "HostConfig.NetworkMode",
    severity: "high",
    attack: "It reaches what listens on the host's loopback and its abstract sockets, and takes any port of the host.",
    source: cis("5.9"),
    tests: ["abstract-socket", "host-loopback"],
  },
  {
    namespace: "ipc",
    id: "BH006",
    field: "HostConfig.IpcMode",
    severity: "medium",
    attack: "It reads and writes the host's shared memory and message queues.",
    source: cis("5.16"),
  },
  {
    namespace: "uts",
    id: "BH007",
    field: "HostConfig.UTSMode",
    severity: "low",
    attack: "With SYS_ADMIN it renames the host.",
    source: cis("5.20"),
  },
  {
    namespace: "user",
    id: "BH008",
    field: "HostConfig.UsernsMode",
    severity: "medium",
    attack: "Root inside is root outside once another wall has a hole: it gave its own range of ids away.",
    source: cis("5.30"),
  },
  {
    namespace: "cgroup",
    id: "BH009",
    field: "HostConfig.CgroupnsMode",
    severity: "low",
    attack: "It sees the host's control groups: the names of its neighbours.",
    source: "cgroup_namespaces(7)",
  },
];

export const HOST_RULES: readonly Rule[] = [
  {
    id: "BH001",
    title: "An engine's API socket is mounted",
    severity: "critical",
    gains: "host root",
    attack: "Whoever may write to the socket starts a privileged workload with the host's root directory in it, whatever boundary this one has.",
    find: ({ mounts }) =>
      mounts
        .filter((mount) => isApiSocket(mount.source))
        .map(({ source, target }) => ({
          where: "HostConfig.Binds",
          what: `${source} is mounted at ${target}`,
          fix: `Leave the mount of ${source} out; give a client of its own socket a policy (sockets in the daemon's configuration).`,
          edits: [{ kind: "without-mount", target }],
        })),
    mayBreak: true,
    sources: [cis("5.31")],
    tests: ["api-socket"],
  },
  {
    id: "BH002",
    title: "Privileged",
    severity: "critical",
    gains: "host root",
    attack: "It has every capability and every device: it mounts the host's disk, or loads a kernel module.",
    find: ({ privileged }) =>
      privileged
        ? [
            {
              where: "HostConfig.Privileged",
              what: "it runs with --privileged",
              fix: "Leave --privileged out; add the one capability or device that is needed.",
              edits: [{ kind: "unprivileged" }],
            },
          ]
        : [],
    mayBreak: true,
    losesForceOn: OWN_MACHINE,
    sources: [cis("5.4")],
    tests: ["proc-sys", "sysfs", "cgroup-mount"],
  },
  ...NAMESPACES.map(
    ({ namespace, id, field, severity, attack, source, tests = [] }): Rule => ({
      id,
      title: `The host's ${namespace} namespace`,
      severity,
      gains: severity === "high" ? "host root" : "data",
      attack,
      find: ({ hostNamespaces }) =>
        hostNamespaces.includes(namespace)
          ? [
              {
                where: field,
                what: `it shares the host's ${namespace} namespace`,
                fix: `Leave the ${namespace} namespace to the workload itself.`,
                edits: [{ kind: "own-namespace", namespace }],
              },
            ]
          : [],
      mayBreak: true,
      sources: [source],
      tests,
    }),
  ),
  {
    id: "BH010",
    title: "A sensitive path of the host is mounted",
    severity: "high",
    gains: "host root",
    attack: "Writing there is as good as root on the host: accounts, services, kernel settings, other workloads' files.",
    find: ({ mounts }) =>
      mounts
        .filter((mount) => bindOf(mount) && !isApiSocket(mount.source))
        .flatMap(({ source, target, readOnly }) => {
          const sensitive = sensitivityOf(source);
          if (sensitive === undefined) return [];
          return [
            {
              where: "HostConfig.Binds",
              what: `${source} of the host (${sensitive}) is mounted at ${target}${readOnly ? ", read-only" : ""}`,
              fix: `Mount the one directory that is needed${readOnly ? "" : ", read-only where reading will do"}, or a volume.`,
              edits: [{ kind: "without-mount", target } as const],
              severity: readOnly ? ("high" as const) : ("critical" as const),
              ...(readOnly ? { attack: "It reads what the host keeps there: password hashes, keys, other workloads' secrets." } : {}),
            },
          ];
        }),
    mayBreak: true,
    sources: [cis("5.5")],
  },
  {
    id: "BH011",
    title: "Mounts made inside appear on the host",
    severity: "medium",
    gains: "host root",
    attack: "What it mounts below is mounted on the host as well: over a directory that a program of the host trusts.",
    find: ({ mounts }) =>
      mounts
        .filter(({ propagation }) => propagation === "shared" || propagation === "rshared")
        .map(({ target, propagation }) => ({
          where: "HostConfig.Mounts",
          what: `the mount at ${target} is ${propagation}`,
          fix: "Use private propagation, which is the default.",
          edits: [{ kind: "private-mount", target }],
        })),
    mayBreak: true,
    losesForceOn: OWN_MACHINE,
    sources: [cis("5.19")],
  },
  {
    id: "BH012",
    title: "A device of the host",
    severity: "medium",
    gains: "host root",
    attack: "A disk's device is the host's files without their permissions; memory's is the kernel.",
    find: ({ devices }) =>
      devices.map((path) => {
        const raw =
          /^\/dev\/(mem|kmem|port|[shv]d[a-z]|xvd|nvme|dm-|mapper|md|loop|disk|sg|nbd|root)/.test(path) || overlaps(path, "/dev/disk") || path === "/dev";
        return {
          where: "HostConfig.Devices",
          what: `${path} is handed over`,
          fix: `Leave --device ${path} out, or hand over the one file that is needed.`,
          severity: raw ? ("critical" as const) : ("medium" as const),
          edits: raw ? [{ kind: "without-device", path } as const] : [],
        };
      }),
    mayBreak: true,
    sources: [cis("5.17")],
    tests: ["device-node", "kernel-log"],
  },
  {
    id: "BH013",
    title: "No filter of system calls",
    severity: "high",
    gains: "host root",
    attack: "Every system call of the host's kernel can be tried, those of past holes among them (keyctl, bpf, userfaultfd, unshare).",
    find: ({ securityOptions }) =>
      securityOptions["seccomp"] === "unconfined"
        ? [
            {
              where: "HostConfig.SecurityOpt",
              what: "seccomp is unconfined",
              fix: "Leave seccomp=unconfined out, or give a profile that adds the one call.",
              edits: [{ kind: "security-option", name: "seccomp", value: undefined }],
            },
          ]
        : [],
    mayBreak: true,
    losesForceOn: OWN_KERNEL,
    sources: [cis("5.21")],
    tests: ["user-namespace", "keyring"],
  },
  {
    id: "BH014",
    title: "No profile of the host's security module",
    severity: "medium",
    gains: "host root",
    attack: "Where the host has AppArmor or SELinux, its second wall (writes below /proc and /sys, mounts) is gone.",
    find: ({ securityOptions }) => {
      const off = [securityOptions["apparmor"] === "unconfined" ? "apparmor" : "", securityOptions["label"] === "disable" ? "label" : ""].filter(Boolean);
      return off.map((name) => ({
        where: "HostConfig.SecurityOpt",
        what: `${name}=${securityOptions[name]}`,
        fix: `Leave ${name}=${securityOptions[name]} out.`,
        edits: [{ kind: "security-option", name, value: undefined }],
      }));
    },
    mayBreak: true,
    losesForceOn: OWN_KERNEL,
    sources: [cis("5.1"), cis("5.2")],
  },
  {
    id: "BH015",
    title: "System paths are not masked",
    severity: "medium",
    gains: "host root",
    attack: "/proc/sysrq-trigger, /proc/kcore, /sys/firmware and their like are the host's.",
    find: ({ unmasked }) =>
      unmasked
        ? [
            {
              where: "HostConfig.MaskedPaths",
              what: "system paths are shown that are hidden by default",
              fix: "Leave systempaths=unconfined out.",
              edits: [{ kind: "mask-paths" }],
            },
          ]
        : [],
    mayBreak: true,
    losesForceOn: OWN_KERNEL,
    sources: ["OCI runtime specification: maskedPaths"],
  },
  {
    id: "BH016",
    title: "Kernel settings beyond its namespaces",
    severity: "medium",
    gains: "host root",
    attack: "The setting is the whole kernel's: core_pattern, for one, names a program that the host runs as root.",
    find: ({ sysctls }) =>
      Object.keys(sysctls)
        .filter((name) => !/^(net\.|fs\.mqueue\.|kernel\.(msg|sem|shm|domainname|hostname))/.test(name))
        .map((name) => ({
          where: "HostConfig.Sysctls",
          what: `${name} is set, which no namespace has`,
          fix: `Leave --sysctl ${name} out; set it on the host, where it belongs.`,
          edits: [{ kind: "without-sysctl", name }],
        })),
    mayBreak: true,
    losesForceOn: OWN_MACHINE,
    sources: ["namespaces(7)"],
  },
];
