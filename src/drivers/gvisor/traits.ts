/** What is true of every gVisor sandbox, on any host. */

import type { BoundaryTraits } from "../../contract/boundary.ts";
import type { FacetName } from "../../contract/driver.ts";

export const GVISOR_TRAITS: BoundaryTraits = {
  kernel: "user-space",
  hardwareEnforced: false,
  rootForm: "directories",
  hostNetwork: false,
  hostPaths: "file-server",
};

/** How gVisor's kernel gets hold of the workload's system calls. */
export const PLATFORMS = ["systrap", "ptrace", "kvm"] as const;
export type Platform = (typeof PLATFORMS)[number];

/** Names for floors to compare by inclusion. The kernel is the workload's own and a program of the host's: no processor enforces the wall. */
export function gvisorTraitNames(platform: Platform): readonly string[] {
  return ["separate-kernel", "user-space-kernel", "not-emulated", `platform-${platform}`];
}

/** What every sandbox can do, whichever platform carries it. */
export const GVISOR_FACETS: readonly FacetName[] = ["exec", "pause", "resize", "top"];
