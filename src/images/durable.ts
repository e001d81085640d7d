/** Deleting for good. */

import type { StateStore } from "../state/index.ts";

/**
 * Carries out the store's deletions and syncs them, so that files may be removed afterwards: else a loss of power could bring back the
 * record of what is no more.
 */
export function deleteDurably(state: StateStore, deletions: () => void): void {
  state.transaction(() => {
    deletions();
    // A durable write syncs everything that was committed before it.
    state.collection("image-barrier").put("deletions", {}, { durable: true });
  });
}
