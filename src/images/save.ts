/** Writing image archives that `docker load` and every reader of OCI layouts understand. The same images give the same bytes. */

import { pack } from "tar-stream";
import type { Call } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import { hexOf } from "./digest.ts";
import { readManifest, type Store } from "./intake.ts";
import { MEDIA } from "./manifest.ts";
import { familiar, parseReference } from "./reference.ts";
import type { ImageRecord } from "./records.ts";

const EPOCH = new Date(0);

export interface SavedImage {
  readonly image: ImageRecord;
  /** Tag keys under which it is saved. */
  readonly tags: readonly string[];
}

export async function* saveArchive(store: Store, images: readonly SavedImage[], call: Call): AsyncGenerator<Uint8Array> {
  const archive = pack();
  const writing = write(archive, store, images, call).catch((thrown: unknown) => archive.destroy(thrown as Error));
  try {
    yield* archive as AsyncIterable<Uint8Array>;
    await writing;
  } finally {
    archive.destroy();
  }
}

type Archive = ReturnType<typeof pack>;

async function write(archive: Archive, store: Store, images: readonly SavedImage[], call: Call): Promise<void> {
  const written = new Set<string>();
  for (const { image } of images) {
    for (const digest of [image.id, ...image.layers.map((layer) => layer.digest), image.manifest]) {
      if (written.has(digest)) continue;
      written.add(digest);
      call.signal.throwIfAborted();
      await writeBlob(archive, store, digest);
    }
  }
  const small = (name: string, document: unknown) => archive.entry({ name, mtime: EPOCH, mode: 0o644 }, `${JSON.stringify(document)}\n`);
  small("index.json", { schemaVersion: 2, mediaType: MEDIA.index, manifests: (await Promise.all(images.map((saved) => describe(store, saved)))).flat() });
  small("manifest.json", images.map(dockerManifest));
  small("oci-layout", { imageLayoutVersion: "1.0.0" });
  archive.finalize();
}

async function writeBlob(archive: Archive, store: Store, digest: string): Promise<void> {
  const size = await store.blobs.size(digest);
  if (size === undefined) throw new Failure("NOT_FOUND", `the image was removed while it was saved: ${digest} is gone`, { remedy: "load or pull it again" });
  const entry = archive.entry({ name: blobName(digest), size, mtime: EPOCH, mode: 0o644 });
  // Listened to from the beginning: an entry whose archive is given up tells so at any time, and nobody hearing it would end the daemon.
  const closed = new Promise<void>((resolve, reject) => entry.on("error", reject).once("close", resolve));
  closed.catch(() => {});
  for await (const piece of store.blobs.read(digest)) {
    if (!entry.write(piece)) await Promise.race([closed, new Promise<void>((resolve) => entry.once("drain", resolve))]);
  }
  entry.end(undefined);
  await closed;
}

function blobName(digest: string): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

async function describe(store: Store, { image, tags }: SavedImage): Promise<readonly object[]> {
  const { mediaType } = await readManifest(store.blobs, image.manifest);
  const descriptor = { mediaType, digest: image.manifest, size: await store.blobs.size(image.manifest) };
  if (tags.length === 0) return [descriptor];
  return tags.map((tag) => ({
    ...descriptor,
    annotations: { "io.containerd.image.name": tag, "org.opencontainers.image.ref.name": parseReference(tag).tag ?? "latest" },
  }));
}

function dockerManifest({ image, tags }: SavedImage): object {
  return {
    Config: blobName(image.id),
    RepoTags: tags.map((tag) => familiar(parseReference(tag))),
    Layers: image.layers.map(({ digest }) => blobName(digest)),
  };
}
