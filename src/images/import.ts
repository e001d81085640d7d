/** Taking in a root filesystem as an image of one layer. */

import { createHash } from "node:crypto";
import type { Call } from "../contract/call.ts";
import type { Written } from "./blob-writer.ts";
import type { Blobs } from "./blobs.ts";
import { applyChanges } from "./changes.ts";
import { compressionOf, decompressed } from "./compression.ts";
import { type DiskFormat, diskTypeOf, formatOf, writeDiskConfiguration } from "./disk-artifact.ts";
import { type Progress, type Store, takeIn } from "./intake.ts";
import { LeaseBundle } from "./leases.ts";
import { MEDIA, writeManifest } from "./manifest.ts";
import { parsePlatform, type Platform } from "./platform.ts";
import type { ImageRecord } from "./records.ts";
import { parseReference, tagKey } from "./reference.ts";
import { isModule, MODULE_MEDIA, writeModuleConfiguration } from "./wasm-artifact.ts";

export interface ImportOptions {
  readonly reference?: string;
  readonly changes: readonly string[];
  readonly message?: string;
  readonly platform?: string;
  /** What comes is a disk image, and not an archive. */
  readonly disk?: boolean;
  /** When the image shall say that it was made. */
  readonly createdAt: string;
}

const silent: Progress = () => {};

/** What is wrong with reference, changes or platform is refused before the first byte is read. */
export async function importArchive(store: Store, archive: AsyncIterable<Uint8Array>, options: ImportOptions, call: Call): Promise<ImageRecord> {
  const tags = options.reference === undefined || options.reference === "" ? [] : [tagKey(parseReference(options.reference))];
  const config = applyChanges(options.changes);
  const platform = parsePlatform(options.platform);
  using leases = new LeaseBundle(store.leases);
  const layer = await takeArchive(store.blobs, archive, leases, call);
  if (options.disk === true) return await importDisk(store, layer, { ...options, tags, leases, platform, config }, call);
  if (await startsAsModule(store.blobs, layer.digest)) return await importModule(store, layer, { tags, leases, createdAt: options.createdAt }, call);
  const { diffId, mediaType } = await identify(store.blobs, layer.digest);
  const history = { created: options.createdAt, created_by: "bulkhead import", comment: options.message ?? "Imported from -" };
  const document = { created: options.createdAt, ...platform, config, rootfs: { type: "layers", diff_ids: [diffId] }, history: [history] };
  const configuration = await store.blobs.put(Buffer.from(JSON.stringify(document)), leases);
  const manifest = await store.blobs.put(writeManifest({ mediaType: MEDIA.configuration, ...configuration }, [{ mediaType, ...layer }]), leases);
  return await takeIn(store, { manifest: manifest.digest, tags, digests: [], unpromised: true }, { leases, progress: silent }, call);
}

async function startsAsModule(blobs: Blobs, digest: string): Promise<boolean> {
  for await (const piece of blobs.read(digest)) return isModule(piece);
  return false;
}

/** A bare module becomes the artifact that a registry would have carried it in. */
async function importModule(
  store: Store,
  module: Written,
  given: { readonly tags: readonly string[]; readonly leases: LeaseBundle; readonly createdAt: string },
  call: Call,
): Promise<ImageRecord> {
  const document = writeModuleConfiguration(module.digest, given.createdAt);
  const configuration = await store.blobs.put(Buffer.from(JSON.stringify(document)), given.leases);
  const parts = writeManifest({ mediaType: MODULE_MEDIA.configuration, ...configuration }, [{ mediaType: MODULE_MEDIA.module, ...module }]);
  const manifest = await store.blobs.put(parts, given.leases);
  return await takeIn(store, { manifest: manifest.digest, tags: given.tags, digests: [] }, { leases: given.leases, progress: silent }, call);
}

async function importDisk(
  store: Store,
  disk: Written,
  given: Pick<ImportOptions, "createdAt" | "message"> & {
    readonly tags: readonly string[];
    readonly leases: LeaseBundle;
    readonly platform: Platform;
    readonly config: object;
  },
  call: Call,
): Promise<ImageRecord> {
  const { createdAt, message, platform, config, leases, tags } = given;
  const document = writeDiskConfiguration(disk.digest, { createdAt, platform, config, comment: message ?? "Imported from -" });
  const configuration = await store.blobs.put(Buffer.from(JSON.stringify(document)), leases);
  const mediaType = diskTypeOf(await formatAtStart(store.blobs, disk.digest));
  const manifest = await store.blobs.put(writeManifest({ mediaType: MEDIA.configuration, ...configuration }, [{ mediaType, ...disk }]), leases);
  return await takeIn(store, { manifest: manifest.digest, tags, digests: [] }, { leases, progress: silent }, call);
}

async function formatAtStart(blobs: Blobs, digest: string): Promise<DiskFormat> {
  for await (const piece of blobs.read(digest)) return formatOf(piece);
  return "raw";
}

async function takeArchive(blobs: Blobs, archive: AsyncIterable<Uint8Array>, leases: LeaseBundle, call: Call): Promise<Written> {
  await using writer = await blobs.create();
  for await (const piece of archive) {
    call.signal.throwIfAborted();
    await writer.write(piece);
  }
  return await blobs.keep(writer, leases);
}

async function identify(blobs: Blobs, digest: string): Promise<{ diffId: string; mediaType: string }> {
  let start: Uint8Array | undefined;
  async function* watched(): AsyncGenerator<Uint8Array> {
    for await (const piece of blobs.read(digest)) {
      start ??= piece.subarray(0, 8);
      yield piece;
    }
  }
  const hash = createHash("sha256");
  for await (const piece of decompressed(watched())) hash.update(piece);
  const compression = compressionOf(start ?? new Uint8Array());
  return { diffId: `sha256:${hash.digest("hex")}`, mediaType: compression === "none" ? MEDIA.layer : `${MEDIA.layer}+${compression}` };
}
