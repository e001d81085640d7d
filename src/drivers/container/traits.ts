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

/** What a container can do, by the runtime that carries it: crun alone takes its configuration from where the supervisor has it. */
export function facetsWith(runtime: string): readonly FacetName[] {
  return ["exec", "pause", "resize", "top", "files", ...(runtime === "crun" ? (["debug"] as const) : [])];
}
