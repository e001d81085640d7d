/**
 * Unpacked layers. Each is unpacked once, alone, and shared by all images that have it:
 *
 *     layers/KEY/tree          the directory, as overlayfs wants it
 *     layers/KEY/image.erofs   the same as a filesystem image; made on first use
 *
 * KEY is the layer's diff id, so that images over different bases share it. A layer that leans on what is below it (a hard link into a lower
 * layer, a directory that only a path names) gets the chain id as its key instead: then it is shared over the same lowers only.
 */

import { randomUUID } from "node:crypto";
import { chmod, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Call } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { LauncherAsk, LauncherOk } from "../contract/launcher-protocol.ts";
import { spreadDirectories } from "../host/spread.ts";
import type { Collection, StateStore } from "../state/index.ts";
import { Coalesced } from "./coalesced.ts";
import { chainIds, hexOf } from "./digest.ts";
import { deleteDurably } from "./durable.ts";
import type { EarlyLayer } from "./early-layers.ts";
import { layerMark, type Settling } from "./settling.ts";
import type { Space } from "./space.ts";

/** The part of the launcher that images need. */
export interface LayerWorker {
  request<V extends "unpack" | "layerImage" | "syncLayers">(
    verb: V,
    ask: LauncherAsk<V>,
    progress?: (progress: Record<string, unknown>) => void,
  ): Promise<LauncherOk<V>>;
}

/** What one layer may not exceed when it is unpacked. */
export interface LayerLimits {
  readonly maxBytes: number;
  readonly maxEntries: number;
}

export interface LayerRecord {
  readonly version: 1;
  readonly diffId: string;
  readonly bytes: number;
  readonly entries: number;
  /** Of `image.erofs`, once it was made. */
  readonly imageBytes?: number;
}

export interface LayerSource {
  readonly diffId: string;
  readonly blob: string;
  /** Of the blob: what is unpacked from it takes as much at least. */
  readonly sizeBytes?: number;
  /** The diff id was computed from the blob itself, so that it proves nothing: the archive must have its own end mark. */
  readonly unpromised?: boolean;
  /** Settles when the blob is there, for one that is still on its way. */
  readonly arrived?: Promise<void>;
  /** It was unpacked already, if it turns out to be this layer. */
  readonly early?: EarlyLayer | undefined;
}

/** Where a layer may come to lie, and over what. */
interface Place {
  readonly shared: string;
  readonly chainKey: string;
  /** Lowest first. */
  readonly lowerKeys: readonly string[];
}

export interface LayersOptions {
  readonly worker: LayerWorker;
  readonly state: StateStore;
  readonly space: Space;
  readonly settling: Pick<Settling, "mark">;
  readonly limits: LayerLimits;
}

export class Layers {
  readonly #directory: string;
  readonly #worker: LayerWorker;
  readonly #limits: LayerLimits;
  readonly #state: StateStore;
  readonly #space: Space;
  readonly #settling: Pick<Settling, "mark">;
  readonly #documents: Collection<LayerRecord>;
  /** By diff id: layers of which is known that they lean on what is below. */
  readonly #leaning: Collection<{ readonly version: 1 }>;
  readonly #unpacking = new Coalesced<string>();
  readonly #imaging = new Coalesced<number>();

  private constructor(directory: string, { worker, state, space, settling, limits }: LayersOptions) {
    this.#directory = directory;
    this.#worker = worker;
    this.#limits = limits;
    this.#state = state;
    this.#space = space;
    this.#settling = settling;
    this.#documents = state.collection<LayerRecord>("image-layers");
    this.#leaning = state.collection<{ readonly version: 1 }>("image-layers-leaning");
  }

  /** Removes what a crash half-made: every directory without a record, and every image file that its record does not know. */
  static async open(directory: string, options: LayersOptions): Promise<Layers> {
    const layers = new Layers(directory, options);
    if ((await mkdir(directory, { recursive: true, mode: 0o700 })) !== undefined) await spreadDirectories(directory);
    for (const name of await readdir(directory)) {
      const record = layers.#documents.get(name);
      if (record === undefined) await layers.#discard(name);
      else if (record.imageBytes === undefined) await rm(join(directory, name, "image.erofs"), { force: true });
    }
    return layers;
  }

  treePath(key: string): string {
    return join(this.#directory, key, "tree");
  }

  imagePath(key: string): string {
    return join(this.#directory, key, "image.erofs");
  }

  get(key: string): LayerRecord {
    const record = this.#documents.get(key);
    if (record === undefined) throw new Failure("INTERNAL", `the layer ${key} is not unpacked`);
    return record;
  }

  has(key: string): boolean {
    return this.#documents.get(key) !== undefined;
  }

  keys(): readonly string[] {
    return [...this.#documents.all()].map(([key]) => key);
  }

  /** Keys of these layers, lowest first, each unpacked where it was not yet. `progress` gets bytes of the blob read. */
  async ensure<S extends LayerSource>(sources: readonly S[], progress: (layer: S, bytes: number) => void, call: Call): Promise<readonly string[]> {
    const chain = chainIds(sources.map(({ diffId }) => diffId));
    const keys: string[] = [];
    for (const [index, source] of sources.entries()) {
      await source.arrived;
      call.signal.throwIfAborted();
      const place = { shared: hexOf(source.diffId), chainKey: hexOf(chain[index] as string), lowerKeys: [...keys] };
      keys.push(await this.#one(source, place, (bytes) => progress(source, bytes)));
    }
    return keys;
  }

  async #one(source: LayerSource, place: Place, progress: (bytes: number) => void): Promise<string> {
    const { shared, chainKey } = place;
    for (const key of [shared, chainKey]) if (this.#documents.get(key) !== undefined) return key;
    // Two images may want one layer over different lowers at once: one after another, and the second then sees whether it can be shared.
    const made = await this.#unpacking.run(shared, async () => (await this.#adopt(source, place)) ?? (await this.#unpack(source, place, progress)));
    if (made === shared || made === chainKey) return made;
    return await this.#unpacking.run(chainKey, () => this.#unpack(source, place, progress));
  }

  async #unpack(source: LayerSource, { shared, chainKey, lowerKeys }: Place, progress: (bytes: number) => void): Promise<string> {
    const lowers = lowerKeys.map((key) => this.treePath(key)).toReversed();
    const started = this.#leaning.get(source.diffId) === undefined ? shared : chainKey;
    await this.#space.require(source.sizeBytes ?? 0, "the layer");
    await this.#discard(started);
    await this.#makeDirectory(started);
    const promise = source.unpromised === true ? {} : { diffId: source.diffId };
    const order = { blob: source.blob, directory: this.treePath(started), lowers, ...promise, ...(await this.#bounds()) };
    const done = await this.#worker
      .request("unpack", order, ({ bytes }) => {
        if (typeof bytes === "number") progress(bytes);
      })
      .catch(async (thrown: unknown) => {
        await this.#discard(started);
        throw thrown;
      });
    const key = done.leansOnLowers ? chainKey : shared;
    if (done.leansOnLowers) this.#leaning.put(source.diffId, { version: 1 });
    if (key !== started) {
      await this.#discard(key);
      await rename(join(this.#directory, started), join(this.#directory, key));
    }
    this.#record(key, source.diffId, done);
    return key;
  }

  /** Unpacks a blob that is still being written, up to so many bytes, without knowing which layer it is or what lies below it. */
  async begin(blob: string, blobBytes: number): Promise<EarlyLayer> {
    await this.#space.require(blobBytes, "the layer");
    const name = `early-${randomUUID()}`;
    await this.#makeDirectory(name);
    const order = { blob, blobBytes, directory: this.treePath(name), lowers: [], ...(await this.#bounds()) };
    const outcome = this.#worker.request("unpack", order).catch(() => undefined);
    // The child of a launcher that was killed may still write there: what is left then is removed at the next opening.
    const discard = () => outcome.then(() => this.#discard(name)).catch(() => undefined);
    return { directory: join(this.#directory, name), outcome, discard };
  }

  /** Its key, where a layer that was unpacked early is this one, and would have been the same over these lowers. */
  async #adopt({ diffId, early }: LayerSource, { shared, lowerKeys }: Place): Promise<string | undefined> {
    const done = await early?.outcome;
    if (early === undefined || done === undefined || done.diffId !== diffId) return undefined;
    if (done.askedLowers !== false && lowerKeys.length > 0) return undefined;
    await this.#discard(shared);
    await rename(early.directory, join(this.#directory, shared));
    this.#record(shared, diffId, done);
    return shared;
  }

  async #makeDirectory(name: string): Promise<void> {
    await mkdir(join(this.#directory, name), { mode: 0o700 });
    // The workload's root must be able to go through it.
    await chmod(join(this.#directory, name), 0o711);
  }

  async #bounds(): Promise<LayerLimits & { readonly reserveBytes: number }> {
    return { ...this.#limits, reserveBytes: await this.#space.reserveBytes() };
  }

  #record(key: string, diffId: string, { bytes, entries }: LauncherOk<"unpack">): void {
    this.#state.transaction(() => {
      this.#settling.mark(layerMark(key));
      this.#documents.put(key, { version: 1, diffId, bytes, entries });
    });
  }

  /** Bytes of the layer's erofs image, made where it is missing. */
  async ensureImage(key: string): Promise<number> {
    return this.get(key).imageBytes ?? (await this.#imaging.run(key, () => this.#makeImage(key)));
  }

  async #makeImage(key: string): Promise<number> {
    const file = this.imagePath(key);
    await this.#space.require(this.get(key).bytes, "the layer's filesystem image");
    await rm(file, { force: true });
    const { bytes } = await this.#worker.request("layerImage", { directory: this.treePath(key), file });
    this.#documents.put(key, { ...this.get(key), imageBytes: bytes }, { durable: true });
    return bytes;
  }

  /** Forgets first, then removes: what a crash leaves of it is removed at the next opening. Bytes that were freed. */
  async remove(key: string): Promise<number> {
    const { bytes, imageBytes = 0 } = this.get(key);
    deleteDurably(this.#state, () => this.#documents.delete(key));
    await this.#discard(key);
    return bytes + imageBytes;
  }

  async #discard(name: string): Promise<void> {
    await rm(join(this.#directory, name), { recursive: true, force: true });
  }
}
