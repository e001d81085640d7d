/** What one workload can take from its neighbours, and what strangers reach. */

import { cis, OWN_MACHINE, type Rule } from "../rule.ts";

const MIB = 1024 * 1024;
/** A machine has a size of its own whether one was asked for or not. */
const SIZED = { microvm: "a machine's size is its limit", vm: "a machine's size is its limit" };

export const LIMIT_RULES: readonly Rule[] = [
  {
    id: "BH030",
    title: "No limit of memory",
    severity: "medium",
    gains: "service",
    attack: "It takes all of the host's memory; the kernel then ends whom it likes.",
    find: ({ memoryBytes }) =>
      memoryBytes > 0
        ? []
        : [{ where: "HostConfig.Memory", what: "memory has no limit", fix: "--memory 512m, or what it needs", edits: [{ kind: "memory", bytes: 512 * MIB }] }],
    mayBreak: true,
    losesForceOn: SIZED,
    sources: [cis("5.10")],
    tests: ["memory-bomb"],
  },
  {
    id: "BH031",
    title: "No limit of processes",
    severity: "medium",
    gains: "service",
    attack: "A fork bomb fills the host's table of processes.",
    find: ({ pids }) =>
      pids > 0 ? [] : [{ where: "HostConfig.PidsLimit", what: "processes have no limit", fix: "--pids-limit 256", edits: [{ kind: "pids", most: 256 }] }],
    losesForceOn: { ...OWN_MACHINE, wasm: "a module makes no processes" },
    sources: [cis("5.28")],
    tests: ["fork-bomb"],
  },
  {
    id: "BH032",
    title: "No limit of processor time",
    severity: "low",
    gains: "service",
    attack: "A loop takes every processor that its neighbours leave for a moment.",
    find: ({ cpus }) =>
      cpus > 0 ? [] : [{ where: "HostConfig.NanoCpus", what: "processor time has no limit", fix: "--cpus 1", edits: [{ kind: "cpus", cpus: 1 }] }],
    mayBreak: true,
    losesForceOn: SIZED,
    sources: [cis("5.11")],
  },
  {
    id: "BH033",
    title: "It is started again for ever",
    severity: "low",
    gains: "service",
    attack: "A program that cannot start takes a processor by trying.",
    find: ({ restart }) =>
      restart === "always" || restart === "unless-stopped"
        ? [{ where: "HostConfig.RestartPolicy", what: `restart is ${restart}`, fix: "--restart on-failure:5", edits: [{ kind: "restart-on-failure" }] }]
        : [],
    mayBreak: true,
    sources: [cis("5.14")],
  },
  {
    id: "BH040",
    title: "A port on every address of the host",
    severity: "medium",
    gains: "data",
    attack: "It can be reached from every network that the host is in, also past a firewall that filters INPUT alone.",
    find: ({ ports }) =>
      ports
        .filter(({ hostAddress }) => ["", "0.0.0.0", "::", "[::]"].includes(hostAddress))
        .map(({ port, hostPort }) => ({
          where: "HostConfig.PortBindings",
          what: `${port} is published on every address`,
          fix: `-p 127.0.0.1:${hostPort ?? ""}:${port.replace("/tcp", "")}, or the address of the network that it is for`,
          edits: [{ kind: "loopback", port }],
        })),
    mayBreak: true,
    sources: [cis("5.13")],
  },
  {
    id: "BH041",
    title: "A privileged port",
    severity: "info",
    gains: "data",
    attack: "Clients take what answers below 1024 for a service of the host.",
    find: ({ ports }) =>
      ports
        .filter(({ hostPort }) => hostPort !== undefined && hostPort > 0 && hostPort < 1024)
        .map(({ port, hostPort }) => ({
          where: "HostConfig.PortBindings",
          what: `${port} is published on ${hostPort}`,
          fix: "Publish above 1024, behind the host's own proxy.",
        })),
    sources: [cis("5.7")],
  },
  {
    id: "BH042",
    title: "Nobody asks whether it is well",
    severity: "info",
    gains: "service",
    attack: "A program that hangs is taken for one that works.",
    find: ({ healthCheck }) =>
      healthCheck ? [] : [{ where: "Config.Healthcheck", what: "there is no health check", fix: "--health-cmd, or HEALTHCHECK in the image" }],
    sources: [cis("5.26")],
  },
];
