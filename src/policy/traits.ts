/** Floors as sets of required traits; names of boundaries are shorthand for such sets. Compared by inclusion: boundaries are not a line. */

import type { BoundaryIdentity, BoundaryKind } from "../contract/boundary.ts";

/** Traits that a floor can ask for, and what each means. Drivers name the same in `BoundaryIdentity.traits`. */
export const FLOOR_TRAITS: Readonly<Record<string, string>> = {
  "separate-kernel": "something else than the host's kernel answers the workload's system calls",
  "own-kernel": "it has a Linux kernel of its own",
  "user-space-kernel": "a program stands between it and the host's kernel",
  "no-kernel": "it makes no system calls of its own",
  "hardware-enforced": "a processor's virtualisation is the wall",
  "not-emulated": "it is no machine without hardware virtualisation",
  "user-namespace": "root inside is nobody outside: ids of its own, or a boundary whose process on the host is an unprivileged user",
};

const SHORTHAND: Readonly<Record<BoundaryKind, readonly string[]>> = {
  container: [],
  gvisor: ["separate-kernel", "user-space-kernel"],
  wasm: ["separate-kernel", "no-kernel"],
  microvm: ["separate-kernel", "own-kernel", "hardware-enforced"],
  vm: ["separate-kernel", "own-kernel", "hardware-enforced"],
};

export const FLOOR_NAMES: readonly string[] = [...Object.keys(FLOOR_TRAITS), ...Object.keys(SHORTHAND)];

export function expandFloor(names: readonly string[]): readonly string[] {
  return [...new Set(names.flatMap((name) => (Object.hasOwn(SHORTHAND, name) ? SHORTHAND[name as BoundaryKind] : [name])))];
}

/** What an emulated machine would have if virtualisation were usable: counts only where the operator says so. */
const LOST_BY_EMULATION = ["separate-kernel", "hardware-enforced", "not-emulated", "user-namespace"];

export function missingTraits(required: readonly string[], boundary: BoundaryIdentity, allowEmulated: boolean): readonly string[] {
  const held = new Set(boundary.traits);
  if (boundary.emulated && allowEmulated) for (const trait of LOST_BY_EMULATION) held.add(trait);
  return required.filter((trait) => !held.has(trait));
}
