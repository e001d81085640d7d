/**
 * Ids of a workload whose processes are the host's: a range of its own, so that root inside is nobody outside, or the host's. The host's go with what is
 * the host's anyway: asked for by name, or implied. Which it is stands in `BoundaryIdentity.traits` under one of these two names.
 */

import type { BoundaryIdentity, BoundaryTraits } from "./boundary.ts";

export const OWN_IDS = "user-namespace";
export const HOST_IDS = "host-ids";

/** How many ids a range has, from 0 on. */
export const OWN_ID_COUNT = 65_536;

/** What of a request or a spec decides. */
export interface IdsWish {
  readonly security: { readonly privileged: boolean; readonly hostNamespaces: readonly string[] };
  readonly network: string | { readonly kind: string };
  readonly mounts: readonly { readonly kind: string; readonly propagation?: string }[];
}

/** A namespace of the host's belongs to the host's root: who joins one has no power over it from a user namespace. */
const GO_WITH_HOST_IDS: readonly string[] = ["user", "pid", "ipc", "cgroup"];

function wantsHostIds({ security, network, mounts }: IdsWish): boolean {
  if (security.privileged || security.hostNamespaces.some((namespace) => GO_WITH_HOST_IDS.includes(namespace))) return true;
  if ((typeof network === "string" ? network : network.kind) === "host") return true;
  // What is mounted inside a user namespace never reaches the host.
  return mounts.some((mount) => mount.kind === "bind" && (mount.propagation === "shared" || mount.propagation === "rshared"));
}

/** The identity that one workload has behind a boundary, from what the boundary has where nothing is asked for. */
export function identityFor(identity: BoundaryIdentity, traits: BoundaryTraits, wish: IdsWish): BoundaryIdentity {
  // A kernel in user space has namespaces of its own to give privileges in: there the host's ids are had by name alone.
  const wanted = traits.kernel === "host" ? wantsHostIds(wish) : traits.kernel === "user-space" && wish.security.hostNamespaces.includes("user");
  if (!wanted || !identity.traits.includes(OWN_IDS)) return identity;
  return { ...identity, traits: identity.traits.map((trait) => (trait === OWN_IDS ? HOST_IDS : trait)) };
}
