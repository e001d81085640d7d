/** Garbage collection: deletes what no image names and nobody is fetching. */

import type { Call } from "../contract/call.ts";
import { rm } from "node:fs/promises";
import type { Store } from "./intake.ts";

/** A download that nobody has gone on with for so long is given up. */
const PARTIAL_AGE_MS = 24 * 60 * 60 * 1000;

export async function collectGarbage(store: Store, nowMs: number, call: Call): Promise<{ readonly freedBytes: number; readonly removed: readonly string[] }> {
  const { blobs, disks, layers, records, leases } = store;
  let freedBytes = 0;
  const removed: string[] = [];
  // Names are looked at again right before each removal: a transfer may have begun meanwhile.
  const named = (digest: string) =>
    leases.has(digest) ||
    records.images().some((image) => image.id === digest || image.manifest === digest || image.layers.some((layer) => layer.digest === digest));
  for (const digest of await blobs.list()) {
    call.signal.throwIfAborted();
    const sizeBytes = await blobs.size(digest);
    if (sizeBytes === undefined || named(digest)) continue;
    await disks.remove(digest);
    await blobs.remove(digest);
    freedBytes += sizeBytes;
    removed.push(digest);
  }
  for (const key of layers.keys()) {
    call.signal.throwIfAborted();
    const used = leases.has(layers.get(key).diffId) || records.images().some((image) => image.layerKeys.includes(key));
    if (used) continue;
    removed.push(layers.get(key).diffId);
    freedBytes += await layers.remove(key);
  }
  for (const { digest, modifiedAtMs, sizeBytes } of await blobs.partials()) {
    if (leases.has(digest) || nowMs - modifiedAtMs < PARTIAL_AGE_MS) continue;
    await rm(blobs.partialPath(digest), { force: true });
    freedBytes += sizeBytes;
  }
  return { freedBytes, removed };
}
