/** What is true of every microvm, on any host. */

import type { BoundaryTraits } from "../../contract/boundary.ts";

export const MICROVM_TRAITS: BoundaryTraits = {
  kernel: "own",
  hardwareEnforced: true,
  rootForm: "block-image",
  hostNetwork: false,
  hostPaths: "file-server",
};
