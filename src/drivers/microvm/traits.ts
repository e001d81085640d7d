/** What is true of every microvm, on any host. */

import type { BoundaryTraits } from "../../contract/boundary.ts";

export const MICROVM_TRAITS: BoundaryTraits = {
  kernel: "own",
  hardwareEnforced: true,
  rootForm: "block-image",
  hostNetwork: false,
  hostPaths: "file-server",
};

/** Names for floors to compare by inclusion. Emulation takes away what a processor would have enforced. */
export function microvmTraitNames(emulated: boolean): readonly string[] {
  return emulated ? ["own-kernel"] : ["separate-kernel", "own-kernel", "hardware-enforced", "not-emulated", "user-namespace"];
}
