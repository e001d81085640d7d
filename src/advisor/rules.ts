/**
 * The hard rules: what a requirement asks a boundary to be able to do. Data, one entry for each row of the textbooks' table; a boundary
 * without the ability is ruled out before any cost is looked at.
 */

import type { Ability } from "./abilities.ts";
import type { Facts } from "./needs.ts";

export interface Rule {
  readonly id: string;
  /** All of these facts must have one of the values given. */
  readonly when: Readonly<Record<string, readonly (string | boolean)[]>>;
  readonly needs: Ability;
  /** Why a boundary without the ability will not do: follows the boundary's name and a colon. */
  readonly because: string;
  /** Whether an emulated machine would do if the policy took it for a wall. */
  readonly wall?: true;
  readonly source: string;
}

const BOOKS = "textbooks A–E";

export const RULES: readonly Rule[] = [
  {
    id: "artifact-oci-image",
    when: { artifact: ["oci-image"] },
    needs: "oci-image",
    because: "it does not run OCI images",
    source: "what each boundary runs",
  },
  {
    id: "artifact-disk-image",
    when: { artifact: ["disk-image"] },
    needs: "disk-image",
    because: "only a whole machine starts from a disk image",
    source: "what each boundary runs",
  },
  {
    id: "artifact-wasm-module",
    when: { artifact: ["wasm-module"] },
    needs: "wasm-module",
    because: "it does not run WebAssembly modules by itself",
    source: "what each boundary runs",
  },
  {
    id: "foreign-os",
    when: { "guest.foreign-os": [true] },
    needs: "any-os",
    because: "its guest must be Linux: another operating system needs a whole machine",
    source: `${BOOKS}: another operating system`,
  },
  {
    id: "foreign-architecture",
    when: { "guest.foreign-architecture": [true] },
    needs: "any-architecture",
    because: "it runs programs of the host's architecture only",
    source: `${BOOKS}: another architecture`,
  },
  {
    id: "own-kernel",
    when: { "kernel.own": [true] },
    needs: "own-kernel",
    because: "it has no kernel of its own: the host's, or an imitation, answers",
    source: `${BOOKS}: own kernel`,
  },
  {
    id: "kernel-imitated",
    when: { "kernel.version-given": [true] },
    needs: "linux-kernel",
    because: "it has no Linux kernel whose version could be asked for",
    source: `${BOOKS}: particular kernel`,
  },
  {
    id: "kernel-version",
    when: { "kernel.version-unmet": [true] },
    needs: "chosen-kernel",
    because: "the host's kernel is not of the version that is needed, and it cannot have another",
    source: `${BOOKS}: particular kernel`,
  },
  {
    id: "kernel-modules",
    when: { "kernel.modules": [true] },
    needs: "kernel-modules",
    because: "modules would be loaded into the host's kernel, for everybody",
    source: `${BOOKS}: kernel modules`,
  },
  {
    id: "kernel-settings",
    when: { "kernel.sysctls": [true] },
    needs: "kernel-settings",
    because: "kernel-wide settings would change the host's kernel, for everybody",
    source: `${BOOKS}: particular kernel`,
  },
  {
    id: "ebpf",
    when: { "kernel.ebpf": [true] },
    needs: "ebpf",
    because: "eBPF programs of its own would run in the host's kernel, or not at all",
    source: `${BOOKS}: eBPF programs`,
  },
  {
    id: "realtime",
    when: { "kernel.realtime": [true] },
    needs: "realtime",
    because: "real-time needs a PREEMPT_RT host kernel, and processes that run on it directly",
    source: `${BOOKS}: real-time`,
  },
  {
    id: "compliance-kernel-separation",
    when: { compliance: ["kernel-separation", "hypervisor", "confidential"] },
    needs: "system-call-wall",
    wall: true,
    because: "the host's kernel answers its system calls, or nothing but an emulator stands between",
    source: `${BOOKS}: compliance`,
  },
  {
    id: "compliance-hypervisor",
    when: { compliance: ["hypervisor", "confidential"] },
    needs: "machine-wall",
    wall: true,
    because: "no processor's virtualisation enforces its wall",
    source: `${BOOKS}: compliance demands a hypervisor`,
  },
  {
    id: "compliance-confidential",
    when: { compliance: ["confidential"] },
    needs: "memory-encryption",
    because: "the host's owner can read its memory: only a confidential machine (SEV-SNP, TDX) hides it",
    source: `${BOOKS}: data protected from the host's owner`,
  },
  {
    id: "untrusted-code",
    when: { trust: ["untrusted"] },
    needs: "system-call-wall",
    wall: true,
    because: "untrusted code would have the host's whole kernel before it: one fault in it is the host",
    source: `${BOOKS}: untrusted code`,
  },
  {
    id: "partners-among-tenants",
    when: { trust: ["partner"], tenancy: ["multi"] },
    needs: "system-call-wall",
    wall: true,
    because: "a partner's code beside other tenants, on one kernel, is below what most would accept",
    source: `${BOOKS}: partner's code, several tenants`,
  },
  {
    id: "privileges-of-strangers",
    when: { "privileges.end-wall": [true], trust: ["partner", "untrusted"] },
    needs: "machine-wall",
    wall: true,
    because: "the privileges asked for end its wall: whoever has them is root on the host. Put the whole thing in a machine",
    source: `${BOOKS}: privileged mode, docker.sock, CAP_SYS_ADMIN, host namespaces`,
  },
  {
    id: "privileges-among-tenants",
    when: { "privileges.end-wall": [true], tenancy: ["multi"] },
    needs: "machine-wall",
    wall: true,
    because: "the privileges asked for end its wall, and other tenants stand behind it. Put the whole thing in a machine",
    source: `${BOOKS}: privileged mode, docker.sock, CAP_SYS_ADMIN, host namespaces`,
  },
  {
    id: "privileges-under-compliance",
    when: { "privileges.end-wall": [true], compliance: ["kernel-separation"] },
    needs: "machine-wall",
    wall: true,
    because: "the privileges asked for end its wall, which the rule-book demands",
    source: `${BOOKS}: privileged mode, docker.sock, CAP_SYS_ADMIN, host namespaces`,
  },
  { id: "gpu", when: { gpu: ["shared", "whole"] }, needs: "gpu", because: "no GPU can be handed in behind it here", source: `${BOOKS}: GPU` },
  {
    id: "host-device",
    when: { "privileges.device": [true] },
    needs: "host-devices",
    because: "a device of the host cannot be handed in behind it here",
    source: `${BOOKS}: GPU and devices`,
  },
  {
    id: "docker-inside",
    when: { nested: ["docker"] },
    needs: "docker-inside",
    because: "Docker inside needs privileged mode or the host's socket, and both end the wall",
    source: `${BOOKS}: Docker inside`,
  },
  {
    id: "machine-inside",
    when: { nested: ["virtual-machine"] },
    needs: "machine-inside",
    because: "a machine inside needs nested virtualisation, which is not to be had behind it here",
    source: `${BOOKS}: a VM inside`,
  },
];

export function holds(when: Rule["when"], facts: Facts): boolean {
  return Object.entries(when).every(([fact, values]) => values.includes(facts[fact] as string | boolean));
}
