/**
 * The soft rules: how ill a boundary suits a requirement that it can meet. Points add to its score along one of the three weights; fewer
 * is better. Data, after the textbooks' words ("poor fit", "with care", "dear"); measured figures take the place of points where there are any.
 */

import type { BoundaryKind } from "../contract/boundary.ts";
import type { Rule } from "./rules.ts";

export type Weight = "security" | "speed" | "cost";

export interface Fit {
  readonly id: string;
  readonly when: Rule["when"];
  readonly weight: Weight;
  readonly points: Readonly<Partial<Record<BoundaryKind, number>>>;
  /** Follows a boundary's name and a colon, where it has points. */
  readonly because: string;
}

export const FITS: readonly Fit[] = [
  {
    id: "pet",
    when: { state: ["pet"] },
    weight: "cost",
    points: { container: 2, gvisor: 2.5, microvm: 1.5, wasm: 3 },
    because: "patched in place, with a disk that lives as long as it does, is what whole machines are for",
  },
  {
    id: "init-system",
    when: { initSystem: [true] },
    weight: "cost",
    points: { container: 2, gvisor: 2.5, microvm: 1, wasm: 3 },
    because: "a full init system expects a machine of its own",
  },
  {
    id: "lives-for-months",
    when: { lifetime: ["months"] },
    weight: "cost",
    points: { container: 0.3, gvisor: 0.4, microvm: 0.3, wasm: 0.3 },
    because: "months of life want backup and repair in place",
  },
  {
    id: "lives-for-seconds",
    when: { lifetime: ["seconds"] },
    weight: "speed",
    points: { vm: 2 },
    because: "a whole machine takes longer to start than this lives, unless it is kept warm",
  },
  {
    id: "lives-for-milliseconds",
    when: { lifetime: ["milliseconds"] },
    weight: "speed",
    points: { container: 0.3, gvisor: 0.6, microvm: 0.9, vm: 4 },
    because: "what lives for milliseconds pays for every start: pool or clone it",
  },
  {
    id: "tenants-of-one-owner",
    when: { tenancy: ["multi"], trust: ["own"] },
    weight: "security",
    points: { container: 0.2, gvisor: 0.1, wasm: 0.1 },
    because: "one kernel under several tenants: a fault of your own code reaches their neighbours",
  },
  {
    id: "partners-alone",
    when: { trust: ["partner"], tenancy: ["single"] },
    weight: "security",
    points: { container: 0.2, gvisor: 0.1, wasm: 0.1 },
    because: "a partner's code on the host's kernel must be hardened",
  },
  {
    id: "strangers-behind-software",
    when: { trust: ["untrusted"] },
    weight: "security",
    points: { gvisor: 0.8, wasm: 0.8 },
    because: "its wall is software alone: one fault in it is the host's",
  },
  {
    id: "partners-behind-software",
    when: { trust: ["partner"], tenancy: ["multi"] },
    weight: "security",
    points: { gvisor: 0.4, wasm: 0.4 },
    because: "its wall is software alone",
  },
  {
    id: "privileges-of-ones-own",
    when: { "privileges.end-wall": [true], trust: ["own"], tenancy: ["single"] },
    weight: "security",
    points: { container: 2.2, gvisor: 3 }, // what such privileges mean to the host's kernel, they do not mean to an imitation
    because: "the privileges asked for end its wall: treat it as running on the host",
  },
  {
    id: "kernel-chosen",
    when: { "kernel.own": [true], state: ["pet"] },
    weight: "cost",
    points: { microvm: 0.5 },
    because: "a kernel of its own on a disk of its own is a whole machine",
  },
  {
    id: "disk-heavy",
    when: { "intensity.disk": ["high"] },
    weight: "speed",
    points: { gvisor: 1.2, microvm: 0.4, vm: 0.3, wasm: 0.5 },
    because: "heavy file work is dearer behind it; a volume spares the layered filesystem",
  },
  {
    id: "network-heavy",
    when: { "intensity.network": ["high"] },
    weight: "speed",
    points: { gvisor: 1.2, microvm: 0.3, vm: 0.3, wasm: 1 },
    because: "heavy network work is dearer behind it",
  },
  {
    id: "gpu-by-proxy",
    when: { gpu: ["shared", "whole"] },
    weight: "cost",
    points: { gvisor: 0.6 },
    because: "it passes some GPU drivers only",
  },
];

/** What a machine without usable virtualisation costs beyond any figure: it is for development and trusted code. */
export const EMULATION = { id: "emulated", weight: "speed", points: 2.5, because: "it is emulated here: slow, and no security boundary" } as const;
