/** What is true of every wasm instance, on any host. */

import type { BoundaryTraits } from "../../contract/boundary.ts";
import type { FacetName } from "../../contract/driver.ts";

export const WASM_TRAITS: BoundaryTraits = {
  kernel: "none",
  hardwareEnforced: false,
  rootForm: "module",
  hostNetwork: false,
  hostPaths: "mount",
};

/** Names for floors to compare by inclusion: what an instance asks for is answered by its runner, and it makes no system calls of its own. */
export const WASM_TRAIT_NAMES = ["separate-kernel", "no-kernel", "not-emulated", "user-namespace"] as const;

/** One program runs and no other: there is nothing to execute in it, and no processes to list. */
export const WASM_FACETS: readonly FacetName[] = ["pause", "resize"];
