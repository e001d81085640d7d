/**
 * Requirements as the rules see them: each field's value, what was assumed where it was not said, and a few conclusions
 * (is the operating system foreign? do the privileges end the wall?) drawn once.
 */

import type { Host } from "./host.ts";
import type { Requirements } from "./requirements.ts";
import { parseRange } from "./version-range.ts";

export interface Assumption {
  readonly field: string;
  readonly value: unknown;
  readonly text: string;
}

/** Flat facts that conditions of rules compare with. */
export type Facts = Readonly<Record<string, string | boolean>>;

export interface Needs {
  readonly requirements: Requirements;
  readonly facts: Facts;
  readonly assumptions: readonly Assumption[];
  /** Privileges among those asked for that leave a container no wall. */
  readonly endsWall: readonly string[];
}

/** What is taken for granted where nothing was said, and why just that. */
const DEFAULTS: readonly { readonly field: string; readonly value: string; readonly text: string; readonly read: (given: Requirements) => unknown }[] = [
  { field: "trust", value: "own", text: "nobody said who wrote the code: taken for your own", read: ({ trust }) => trust },
  { field: "tenancy", value: "single", text: "nobody said that strangers' workloads share the host", read: ({ tenancy }) => tenancy },
  { field: "compliance", value: "none", text: "no rule-book that asks for a kind of wall was named", read: ({ compliance }) => compliance },
  { field: "lifetime", value: "hours", text: "how long it lives was not said", read: ({ lifetime }) => lifetime },
  { field: "state", value: "stateless", text: "no state was named that its own disk would have to keep", read: ({ state }) => state },
  { field: "gpu", value: "none", text: "no GPU was asked for", read: ({ gpu }) => gpu },
  { field: "nested", value: "none", text: "nothing was said of Docker or machines inside it", read: ({ nested }) => nested },
  { field: "guest.os", value: "linux", text: "no operating system was named", read: ({ guest }) => guest?.os },
  { field: "intensity.cpu", value: "low", text: "no heavy computation was named", read: ({ intensity }) => intensity?.cpu },
  { field: "intensity.syscalls", value: "low", text: "no heavy use of system calls was named", read: ({ intensity }) => intensity?.syscalls },
  { field: "intensity.disk", value: "low", text: "no heavy disk work was named", read: ({ intensity }) => intensity?.disk },
  { field: "intensity.network", value: "low", text: "no heavy network work was named", read: ({ intensity }) => intensity?.network },
];

/** Everything that gives the host's kernel, its daemon or its files away (the textbooks' list, and the capabilities that amount to it). */
const ENDS_WALL: readonly RegExp[] = [
  /^privileged$/i,
  /docker\.sock/i,
  /^(?:CAP_)?(?:SYS_ADMIN|SYS_MODULE|SYS_PTRACE|SYS_RAWIO|SYS_BOOT|BPF|PERFMON|DAC_READ_SEARCH|MAC_ADMIN|MAC_OVERRIDE|NET_ADMIN|ALL)$/i,
  /^host-(?:network|pid|ipc|uts|cgroup|userns|user)$/i,
  /^host-path:\/*(?:proc|sys|dev|etc|boot|root|lib\/modules|usr|bin|sbin|run|var\/run|var\/lib\/(?:docker|containerd|bulkhead|kubelet))?(?:\/|$)/i,
  /^device:\/dev\/(?:mem|kmem|port|kvm|sd|hd|vd|nvme|xvd|dm-|mapper|loop|disk|raw)/i,
];

export function readNeeds(given: Requirements, host: Host): Needs {
  const assumptions: Assumption[] = [];
  const facts: Record<string, string | boolean> = {};
  for (const { field, value, text, read } of DEFAULTS) {
    const said = read(given);
    facts[field] = (said ?? value) as string;
    if (said === undefined) assumptions.push({ field, value, text });
  }
  const artifact = given.artifact ?? (facts["guest.os"] === "linux" ? "oci-image" : "disk-image");
  if (given.artifact === undefined)
    assumptions.push({
      field: "artifact",
      value: artifact,
      text: artifact === "oci-image" ? "an OCI image, as most are" : "another operating system comes as a disk image",
    });
  const privileges = given.privileges ?? [];
  if (given.privileges === undefined) assumptions.push({ field: "privileges", value: [], text: "no privilege beyond the defaults was asked for" });
  const endsWall = privileges.filter((privilege) => ENDS_WALL.some((pattern) => pattern.test(privilege)));
  const module = artifact === "wasm-module";
  const architecture = given.guest?.architecture ?? "any";
  const { kernel } = given;
  const version = kernel?.version === undefined ? undefined : parseRange(kernel.version);
  return {
    requirements: given,
    assumptions,
    endsWall,
    facts: {
      ...facts,
      artifact,
      "guest.foreign-os": !module && facts["guest.os"] !== "linux",
      "guest.foreign-architecture": isForeignArchitecture(given, host),
      "guest.architecture": architecture,
      "kernel.own": kernel?.own === true,
      "kernel.version-unmet": version !== undefined && !version(host.kernel),
      "kernel.version-given": version !== undefined,
      "kernel.modules": (kernel?.modules?.length ?? 0) > 0,
      "kernel.sysctls": (kernel?.sysctls?.length ?? 0) > 0,
      "kernel.ebpf": kernel?.ebpf === true,
      "kernel.realtime": kernel?.realtime === true,
      initSystem: given.initSystem === true,
      "privileges.end-wall": endsWall.length > 0,
      "privileges.device": privileges.some((privilege) => /^device:/i.test(privilege)),
      "privileges.docker-socket": privileges.some((privilege) => /docker\.sock/i.test(privilege)),
    },
  };
}

export function isForeignArchitecture(given: Requirements, host: Host): boolean {
  const wanted = given.guest?.architecture ?? "any";
  return given.artifact !== "wasm-module" && wanted !== "any" && wanted !== host.architecture;
}
