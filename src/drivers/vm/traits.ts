/** What is true of every whole machine, on any host. */

import type { BoundaryTraits } from "../../contract/boundary.ts";

export const VM_TRAITS: BoundaryTraits = {
  kernel: "own",
  hardwareEnforced: true,
  rootForm: "disk",
  hostNetwork: false,
  hostPaths: "none",
  stopSeconds: 60,
};
