/** What is true of every container, on any host. */

import type { BoundaryTraits } from "../../contract/boundary.ts";
import type { FacetName } from "../../contract/driver.ts";

export const CONTAINER_TRAITS: BoundaryTraits = {
  kernel: "host",
  hardwareEnforced: false,
  rootForm: "directories",
  hostNetwork: true,
  hostPaths: "mount",
};

/** Names for floors to compare by inclusion: a container has no kernel of its own, and nothing in it is emulated. */
export const CONTAINER_TRAIT_NAMES = ["not-emulated"] as const;

/** What every container can do, whichever runtime carries it. */
export const CONTAINER_FACETS: readonly FacetName[] = ["exec", "pause", "resize", "top", "files"];
