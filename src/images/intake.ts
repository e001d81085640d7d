/**
 * The last step of every way into the store (pull, load, import): blobs are here, checked by digest; the image's layers are unpacked, checked by
 * diff id, and only then the image gets its record and its tags. The disk has all of it a moment later: see settling.ts.
 */

import type { Call } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { Blobs } from "./blobs.ts";
import type { Coalesced } from "./coalesced.ts";
import type { EarlyLayers } from "./early-layers.ts";
import { readConfiguration } from "./configuration.ts";
import { diskFormatOf } from "./disk-artifact.ts";
import type { Disks } from "./disks.ts";
import { parseDocument } from "./document.ts";
import type { TransferProgress } from "./index.ts";
import type { Layers, LayerSource } from "./layers.ts";
import type { LeaseBundle, Leases } from "./leases.ts";
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from "./manifest.ts";
import type { ImageRecord, LayerReference, Records } from "./records.ts";
import { isModuleType } from "./wasm-artifact.ts";

/** What the ways into and out of the store work on. */
export interface Store {
  readonly blobs: Blobs;
  readonly layers: Layers;
  readonly disks: Disks;
  readonly records: Records;
  readonly leases: Leases;
  /** Blobs on their way, by digest. */
  readonly downloads: Coalesced<void>;
}

export interface Arrival {
  /** Digest of the image's manifest, which is a blob here. */
  readonly manifest: string;
  readonly tags: readonly string[];
  readonly digests: readonly string[];
  /** The archive is nobody's promise: it must have its own end mark (import). */
  readonly unpromised?: boolean;
}

export type Progress = (step: TransferProgress) => void;

/** Unpacks and records. The blobs must be leased by the caller; the layers are leased here, in its bundle. */
export async function takeIn(
  store: Store,
  arrival: Arrival,
  options: {
    readonly leases: LeaseBundle;
    readonly progress: Progress;
    /** Of layers that are still on their way, by the blob's digest: each is unpacked as soon as it and those below are there. */
    readonly arriving?: ReadonlyMap<string, Promise<void>>;
    /** What was unpacked of them already. */
    readonly early?: EarlyLayers;
  },
  call: Call,
): Promise<ImageRecord> {
  const manifest = await readManifest(store.blobs, arrival.manifest);
  if (manifest.kind !== "image") throw new Failure("CORRUPT_DATA", `${arrival.manifest} is an index, not an image`);
  const { diffIds } = readConfiguration(parseDocument(await readSmall(store.blobs, manifest.configuration.digest, "the configuration"), "the configuration"));
  if (diffIds.length !== manifest.layers.length) {
    throw new Failure("CORRUPT_DATA", `the image's configuration names ${diffIds.length} layers and its manifest ${manifest.layers.length}`);
  }
  if (manifest.layers.some(({ mediaType }) => isModuleType(mediaType))) return takeInModule(store, arrival, manifest);
  if (manifest.layers.some(({ mediaType }) => diskFormatOf(mediaType) !== undefined)) {
    await Promise.all([...(options.arriving?.values() ?? [])]);
    return await takeInDisk(store, arrival, manifest, options.leases);
  }
  const layers = manifest.layers.map(({ digest, mediaType, sizeBytes }, index) => ({ digest, mediaType, sizeBytes, diffId: diffIds[index] as string }));
  for (const { diffId } of layers) options.leases.add(diffId);
  const sources = layerSources(store, layers).map((source, index) => ({
    ...source,
    shown: shortId(layers[index]?.digest ?? ""),
    ...(arrival.unpromised === true ? { unpromised: true } : {}),
    ...arrivalOf(options.arriving?.get(layers[index]?.digest ?? "")),
    early: options.early?.of(layers[index]?.digest ?? ""),
  }));
  const layerKeys = await store.layers.ensure(
    sources,
    (source, current) => options.progress({ layer: source.shown, status: "Extracting", current, total: source.sizeBytes }),
    call,
  );
  for (const source of sources) options.progress({ layer: source.shown, status: "Pull complete" });
  return store.records.put(
    { version: 1, id: manifest.configuration.digest, manifest: arrival.manifest, layers, layerKeys, digests: arrival.digests },
    arrival.tags,
  );
}

/** What an image's layers are unpacked from, lowest first. */
export function layerSources({ blobs }: Store, layers: readonly LayerReference[]): readonly (LayerSource & { readonly sizeBytes: number })[] {
  return layers.map(({ digest, diffId, sizeBytes }) => ({ diffId, blob: blobs.path(digest), sizeBytes }));
}

/** A wasm artifact: its one layer is the module itself, and stays a blob. */
function takeInModule(store: Store, arrival: Arrival, manifest: Manifest & { readonly kind: "image" }): ImageRecord {
  const [module, second] = manifest.layers;
  if (module === undefined || second !== undefined) {
    throw new Failure("UNSUPPORTED", `the wasm artifact has ${manifest.layers.length} layers`, { remedy: "link the modules into one component" });
  }
  const { digest, mediaType, sizeBytes } = module;
  const layers = [{ digest, mediaType, sizeBytes, diffId: digest }];
  return store.records.put(
    { version: 1, id: manifest.configuration.digest, manifest: arrival.manifest, layers, layerKeys: [], digests: arrival.digests },
    arrival.tags,
  );
}

/** A disk: its one layer is the disk image, and stays a blob. It is checked, and made what machines boot from, before it is known. */
async function takeInDisk(store: Store, arrival: Arrival, manifest: Manifest & { readonly kind: "image" }, leases: LeaseBundle): Promise<ImageRecord> {
  const [disk, second] = manifest.layers;
  const format = disk === undefined ? undefined : diskFormatOf(disk.mediaType);
  if (disk === undefined || format === undefined || second !== undefined) {
    throw new Failure("UNSUPPORTED", `the disk image has ${manifest.layers.length} layers`, { remedy: "make an image of one disk" });
  }
  const { digest, mediaType, sizeBytes } = disk;
  leases.add(digest);
  await store.disks.ensure(digest, format);
  const layers = [{ digest, mediaType, sizeBytes, diffId: digest }];
  return store.records.put(
    { version: 1, id: manifest.configuration.digest, manifest: arrival.manifest, layers, layerKeys: [], digests: arrival.digests },
    arrival.tags,
  );
}

function arrivalOf(arrived: Promise<void> | undefined): { readonly arrived?: Promise<void> } {
  return arrived === undefined ? {} : { arrived };
}

export async function readManifest(blobs: Blobs, digest: string): Promise<Manifest> {
  return parseManifest(await readSmall(blobs, digest, "the manifest"));
}

/** A document's bytes, with a limit. Rejects CORRUPT_DATA where it is missing or larger. */
export async function readSmall(blobs: Blobs, digest: string, what: string): Promise<Buffer> {
  const size = await blobs.size(digest);
  if (size === undefined) throw new Failure("CORRUPT_DATA", `${what} ${digest} is missing`);
  if (size > MAX_MANIFEST_BYTES) throw new Failure("CORRUPT_DATA", `${what} has ${size} bytes; ${MAX_MANIFEST_BYTES} are allowed`);
  return await blobs.bytes(digest);
}

/** Twelve digits, as Docker shows layers. */
export function shortId(digest: string): string {
  return digest.slice("sha256:".length, "sha256:".length + 12);
}
