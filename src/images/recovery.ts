/**
 * What is believed after the host died. A loss of power may have kept the name of a blob or a layer and lost some of its bytes, where they were not settled yet
 * (settling.ts). So when the host was started anew since this store was last opened:
 *
 *  - a blob that bears a mark, or that no image names, is hashed, and removed if it is another;
 *  - a layer that bears a mark is removed, and unpacked again from its blob;
 *  - an image whose parts are then not all there is forgotten, and told.
 */

import { createHash } from "node:crypto";
import { type Log, plainCall } from "../contract/call.ts";
import { toFailure } from "../contract/failure.ts";
import type { Blobs } from "./blobs.ts";
import { layerSources, type Store } from "./intake.ts";
import type { ImageRecord } from "./records.ts";
import { blobMark, layerMark, type Settling } from "./settling.ts";

export interface RecoveryOptions {
  readonly store: Store;
  readonly settling: Settling;
  /** Whether the host was started since this store was last opened, or may have been. */
  readonly rebooted: boolean;
  /** Reads the image's configuration, so that it can be looked up. Rejects CORRUPT_DATA where it is not there or damaged. */
  readonly remember: (record: ImageRecord) => Promise<void>;
  readonly log?: Log | undefined;
}

/** Afterwards every image that is known is whole. */
export async function recoverImages(options: RecoveryOptions): Promise<void> {
  const { store, settling, rebooted, log } = options;
  const marked = new Set(settling.marked());
  if (rebooted) await distrust(store, marked);
  for (const record of store.records.images()) {
    const fault = await faultOf(record, marked, options);
    if (fault === undefined) continue;
    log?.warn({ image: record.id, tags: store.records.tagsOf(record.id), fault }, "an image is damaged and was forgotten: load or pull it again");
    store.records.delete(record.id);
  }
  if (rebooted) for (const name of marked) if (!name.startsWith("layer ") || !store.layers.has(name.slice("layer ".length))) settling.unmark(name);
}

/** Removes what may be damaged and cannot show that it is not. */
async function distrust({ blobs, layers, records }: Store, marked: ReadonlySet<string>): Promise<void> {
  const named = new Set(records.images().flatMap((image) => [image.id, image.manifest, ...image.layers.map(({ digest }) => digest)]));
  for (const digest of await blobs.list()) {
    if (named.has(digest) && !marked.has(blobMark(digest))) continue;
    // One that cannot be read shows nothing either.
    if ((await hashOf(blobs, digest).catch(() => "")) !== digest) await blobs.remove(digest);
  }
  for (const key of layers.keys()) if (marked.has(layerMark(key))) await layers.remove(key);
}

async function hashOf(blobs: Blobs, digest: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of blobs.read(digest)) hash.update(piece);
  return `sha256:${hash.digest("hex")}`;
}

/** What is wrong with an image, in words. */
async function faultOf(record: ImageRecord, marked: ReadonlySet<string>, { store, rebooted, remember }: RecoveryOptions): Promise<string | undefined> {
  for (const digest of [record.manifest, ...record.layers.map((layer) => layer.digest)])
    if (marked.has(blobMark(digest)) && (await store.blobs.size(digest)) === undefined) return `its blob ${digest} is gone or damaged`;
  try {
    await remember(record);
  } catch (thrown) {
    const { code, message } = toFailure(thrown);
    // A disk that cannot be read just now is no reason to forget.
    if (code === "CORRUPT_DATA") return message;
    throw thrown;
  }
  if (record.layerKeys.every((key) => store.layers.has(key))) return undefined;
  return rebooted ? await unpackAgain(record, store) : "a layer of it is gone";
}

/** Whatever keeps it from being done must not keep the daemon from starting. */
async function unpackAgain(record: ImageRecord, store: Store): Promise<string | undefined> {
  try {
    const layerKeys = await store.layers.ensure(layerSources(store, record.layers), () => {}, plainCall());
    store.records.put({ ...record, layerKeys }, []);
    return undefined;
  } catch (thrown) {
    return `a layer of it cannot be unpacked again: ${toFailure(thrown).message}`;
  }
}
