/**
 * Reading image archives: what `docker save` writes (manifest.json, with layers as `ID/layer.tar` or as blobs) and OCI layouts (index.json).
 * An archive may be both; then the layout's manifests keep their digests and manifest.json gives the tags.
 */

import type { Call } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import { ArchiveFiles } from "./archive-files.ts";
import { readConfiguration } from "./configuration.ts";
import { compressionOf } from "./compression.ts";
import { digestOf, hexOf } from "./digest.ts";
import { EarlyLayers } from "./early-layers.ts";
import { asFields, asShortList, asStrings, optionalString, parseDocument, parseJson } from "./document.ts";
import { type Arrival, type Progress, type Store, takeIn } from "./intake.ts";
import { LeaseBundle } from "./leases.ts";
import { type Descriptor, MEDIA, parseManifest, readDescriptor, writeManifest } from "./manifest.ts";
import { HOST_PLATFORM, platformText, selectForHost } from "./platform.ts";
import { parseReference, tagKey } from "./reference.ts";
import type { ImageRecord } from "./records.ts";

/** Each image costs a write or two of the state store. */
const MAX_IMAGES = 1000;
const MAX_TAGS = 1000;

/** All images of the archive, each whole, or a rejection; images before a damaged one stay. */
export async function loadArchive(store: Store, archive: AsyncIterable<Uint8Array>, progress: Progress, call: Call): Promise<readonly ImageRecord[]> {
  using leases = new LeaseBundle(store.leases);
  await using early = new EarlyLayers(store);
  const files = await ArchiveFiles.read(archive, { blobs: store.blobs, leases, progress, early }, call);
  const arrivals = await readArrivals(files, store, leases);
  const loaded: ImageRecord[] = [];
  for (const arrival of arrivals) loaded.push(await takeIn(store, arrival, { leases, progress, early }, call));
  return loaded;
}

async function readArrivals(files: ArchiveFiles, store: Store, leases: LeaseBundle): Promise<readonly Arrival[]> {
  const [list, index] = [await files.document("manifest.json"), await files.document("index.json")];
  if (list === undefined && index === undefined) {
    throw new Failure("CORRUPT_DATA", "the archive has neither manifest.json nor index.json: it is no image archive", {
      remedy: "a root filesystem is taken in by `bulkhead import`",
    });
  }
  const inLayout = index === undefined ? [] : await readLayout(files, index);
  if (list === undefined) {
    if (inLayout.length === 0) throw new Failure("CORRUPT_DATA", `the archive has no image for ${platformText(HOST_PLATFORM)}`);
    return await Promise.all(inLayout.map(async ({ manifest, tags }) => ({ manifest: await bring(files, manifest), tags, digests: [] })));
  }
  const arrivals: Arrival[] = [];
  for (const item of asShortList(parseJson(list, "manifest.json"), "manifest.json", MAX_IMAGES)) {
    const fields = asFields(item, "an image of manifest.json");
    const tags = asStrings(asShortList(fields.RepoTags, "RepoTags", MAX_TAGS), "RepoTags").map((tag) => tagKey(parseReference(tag)));
    const configuration = await files.blob(optionalString(fields.Config, "Config") ?? "");
    const known = inLayout.find((found) => found.configuration === configuration.digest);
    const manifest =
      known === undefined ? await writeOwn(files, { store, leases }, configuration, asStrings(fields.Layers, "Layers")) : await bring(files, known.manifest);
    arrivals.push({ manifest, tags, digests: [] });
  }
  return arrivals;
}

/** The old form has no manifest: one is written over the layers as they lie in the archive. */
async function writeOwn(
  files: ArchiveFiles,
  { store, leases }: { readonly store: Store; readonly leases: LeaseBundle },
  configuration: { readonly digest: string; readonly sizeBytes: number },
  names: readonly string[],
): Promise<string> {
  const document = parseDocument(await store.blobs.bytes(configuration.digest), "the configuration");
  const { diffIds } = readConfiguration(document);
  if (diffIds.length !== names.length) throw new Failure("CORRUPT_DATA", `manifest.json names ${names.length} layers and the configuration ${diffIds.length}`);
  const layers = [];
  for (const name of names) {
    const { digest, sizeBytes } = await files.blob(name);
    layers.push({ mediaType: await layerType(store, digest), digest, sizeBytes });
  }
  const manifest = writeManifest({ mediaType: MEDIA.configuration, ...configuration }, layers);
  return (await store.blobs.put(manifest, leases)).digest;
}

async function layerType(store: Store, digest: string): Promise<string> {
  for await (const piece of store.blobs.read(digest)) {
    const compression = compressionOf(piece);
    return compression === "none" ? MEDIA.layer : `${MEDIA.layer}+${compression}`;
  }
  return MEDIA.layer;
}

interface LayoutImage {
  readonly manifest: string;
  readonly configuration: string;
  readonly tags: readonly string[];
}

/** OCI image layout specification. Of nested indexes the image for this host. */
async function readLayout(files: ArchiveFiles, index: Buffer): Promise<readonly LayoutImage[]> {
  const images: LayoutImage[] = [];
  for (const item of asShortList(parseDocument(index, "index.json").manifests, "index.json", MAX_IMAGES)) {
    const descriptor = readDescriptor(item, "a manifest");
    const found = await findImage(files, descriptor, 0);
    if (found !== undefined) images.push({ ...found, tags: tagsOf(descriptor) });
  }
  return images;
}

async function findImage(files: ArchiveFiles, { digest, mediaType }: Descriptor, depth: number): Promise<Omit<LayoutImage, "tags"> | undefined> {
  const bytes = await files.document(blobName(digest));
  // A layout may leave out what belongs to other platforms.
  if (bytes === undefined || depth > 3) return undefined;
  if (digestOf(bytes) !== digest) throw new Failure("CORRUPT_DATA", `the archive's manifest ${digest} has another digest`);
  const manifest = parseManifest(bytes, mediaType);
  if (manifest.kind === "image") return { manifest: digest, configuration: manifest.configuration.digest };
  const chosen = selectForHost(manifest.manifests) ?? (manifest.manifests.length === 1 ? manifest.manifests[0] : undefined);
  return chosen === undefined ? undefined : await findImage(files, chosen, depth + 1);
}

function tagsOf({ annotations }: Descriptor): readonly string[] {
  const named =
    optionalString(annotations["io.containerd.image.name"], "an image's name") ??
    optionalString(annotations["org.opencontainers.image.ref.name"], "an image's name");
  // `ref.name` may be a bare tag ("latest"), which names nothing by itself.
  if (named === undefined || !/[/:]/.test(named)) return [];
  const reference = parseReference(named);
  return reference.digest === undefined ? [tagKey(reference)] : [];
}

function blobName(digest: string): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

/** Makes a manifest and all it names blobs of the store. */
async function bring(files: ArchiveFiles, manifest: string): Promise<string> {
  const { digest } = await files.blob(blobName(manifest));
  const parsed = parseManifest((await files.document(blobName(manifest))) ?? Buffer.alloc(0));
  if (parsed.kind === "image") for (const part of [parsed.configuration, ...parsed.layers]) await files.blob(blobName(part.digest));
  return digest;
}
