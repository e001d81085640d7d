/** The face of the folder, put together from its parts. Reads in the order of an image's life. */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { RootForm } from "../contract/boundary.ts";
import { type Call, type Log, plainCall } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import { readBootId } from "../host/host-facts.ts";
import type { RootSource } from "../contract/spec.ts";
import type { StateStore } from "../state/index.ts";
import { Blobs } from "./blobs.ts";
import { Coalesced } from "./coalesced.ts";
import { collectGarbage } from "./collect.ts";
import { Contents } from "./contents.ts";
import { diskOf } from "./disk-artifact.ts";
import { Disks, type DiskWorker } from "./disks.ts";
import { importArchive, type ImportOptions } from "./import.ts";
import type { Images, ImageView, RegistryCredentials } from "./index.ts";
import type { Progress, Store } from "./intake.ts";
import { Layers, type LayerLimits, type LayerWorker } from "./layers.ts";
import { Leases } from "./leases.ts";
import { loadArchive } from "./load.ts";
import { pullImage } from "./pull.ts";
import { pushImage } from "./push.ts";
import { Records, type ImageRecord } from "./records.ts";
import { parseReference, tagKey } from "./reference.ts";
import { recoverImages } from "./recovery.ts";
import { checkLogin } from "./registry/login.ts";
import type { RegistrySettings } from "./registry/settings.ts";
import { planRemoval, removalSteps } from "./remove.ts";
import { Roots } from "./roots.ts";
import { saveArchive } from "./save.ts";
import { Settling } from "./settling.ts";
import { Space } from "./space.ts";
import { Views } from "./view.ts";

export interface ImagesOptions {
  /** Everything that images keep lies below it; made where it is missing, mode 0700. */
  readonly directory: string;
  readonly state: StateStore;
  readonly worker: LayerWorker & DiskWorker;
  readonly registries?: Partial<RegistrySettings>;
  readonly limits?: ImageLimits;
  /** Which start of the host this is; the kernel says it where it is absent. */
  readonly boot?: string;
  readonly log?: Log;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export interface ImageLimits {
  /** Left free on the disk; see `Space`. */
  readonly reserveBytes?: number;
  /** Of one layer, unpacked. 64 GiB without it. */
  readonly maxLayerBytes?: number;
  /** Files and directories of one layer. Four million without it. */
  readonly maxLayerEntries?: number;
}

/** Opens the store: removes what a crash half-made, reads what is known, and makes sure of what the host's death may have damaged. */
export async function openImages(options: ImagesOptions): Promise<Images> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const { worker, state, limits = {} } = options;
  const space = new Space(options.directory, limits.reserveBytes);
  const settling = new Settling({ state, worker, directory: options.directory, log: options.log });
  const blobs = await Blobs.open(options.directory, space, settling);
  const layers = await Layers.open(join(options.directory, "layers"), { worker, state, space, settling, limits: layerLimits(limits) });
  const records = new Records(state);
  const isDisk = (digest: string) => records.images().some((image) => diskOf(image)?.digest === digest);
  const disks = await Disks.open(join(options.directory, "disks"), { worker, blobs, space, maxBytes: layerLimits(limits).maxBytes }, isDisk);
  const store: Store = { blobs, layers, disks, records, leases: new Leases(), downloads: new Coalesced() };
  const views = new Views(store);
  const boots = state.collection<{ readonly boot: string }>("image-barrier");
  const boot = options.boot ?? readBootId();
  const rebooted = boots.get("boot")?.boot !== boot;
  await recoverImages({ store, settling, rebooted, remember: (record) => views.remember(record), log: options.log });
  if (rebooted) boots.put("boot", { boot }, { durable: true });
  settling.begin();
  const roots = await Roots.open(join(options.directory, "drives"), { layers, blobs, disks }, (id) => store.records.image(id) !== undefined);
  return new ImageStore({ store, views, roots, settling }, options);
}

function layerLimits({ maxLayerBytes = 64 * 1024 ** 3, maxLayerEntries = 4_000_000 }: ImageLimits): LayerLimits {
  return { maxBytes: maxLayerBytes, maxEntries: maxLayerEntries };
}

/** The contract's word for what was called off, whatever noticed it first. */
async function stoppable<T>(call: Call, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    if (!call.signal.aborted || (thrown instanceof Failure && thrown.code !== "INTERNAL")) throw thrown;
    throw new Failure("CANCELLED", "the operation was called off", { cause: thrown });
  }
}

class ImageStore implements Images {
  readonly #store: Store;
  readonly #views: Views;
  readonly #roots: Roots;
  readonly #settling: Settling;
  readonly #options: ImagesOptions;
  readonly #contents = new Contents();
  /** From workload to image. */
  readonly #holds = new Map<string, string>();

  constructor(parts: { readonly store: Store; readonly views: Views; readonly roots: Roots; readonly settling: Settling }, options: ImagesOptions) {
    this.#store = parts.store;
    this.#views = parts.views;
    this.#roots = parts.roots;
    this.#settling = parts.settling;
    this.#options = options;
  }

  get(reference: string): ImageView {
    return this.#views.of(this.#store.records.get(reference));
  }

  list(): readonly ImageView[] {
    return this.#store.records.images().map((record) => this.#views.of(record));
  }

  async tag(source: string, target: string): Promise<void> {
    const tag = tagKey(parseReference(target));
    this.#store.records.tag(this.#store.records.get(source).id, tag);
  }

  async remove(reference: string, options: { readonly force: boolean; readonly prune: boolean }) {
    const removal = planRemoval(this.#store.records, reference, (id) => this.#holders(id), options.force);
    for (const tag of removal.untagged) this.#store.records.untag(tag);
    if (removal.deletes) {
      this.#store.records.delete(removal.image.id);
      this.#views.forget(removal.image.id);
      this.#contents.forget(removal.image.id);
      await this.#roots.forget(removal.image.id);
      await collectGarbage(this.#store, this.#now(), plainCall());
    }
    return removalSteps(removal);
  }

  async pull(reference: string, options: { readonly platform?: string; readonly credentials?: RegistryCredentials; readonly progress: Progress }, call: Call) {
    return await this.#seen(await stoppable(call, pullImage(this.#store, reference, { ...options, settings: this.#options.registries ?? {} }, call)));
  }

  async checkLogin(server: string, credentials: RegistryCredentials, call: Call) {
    await stoppable(call, checkLogin(server, { settings: this.#options.registries ?? {}, credentials }, call));
  }

  async push(reference: string, options: { readonly credentials?: RegistryCredentials; readonly progress: Progress }, call: Call) {
    return await stoppable(call, pushImage(this.#store, reference, { ...options, settings: this.#options.registries ?? {} }, call));
  }

  async load(archive: AsyncIterable<Uint8Array>, options: { readonly progress: Progress }, call: Call) {
    const views: ImageView[] = [];
    for (const record of await stoppable(call, loadArchive(this.#store, archive, options.progress, call))) views.push(await this.#seen(record));
    return views;
  }

  async import(archive: AsyncIterable<Uint8Array>, options: Omit<ImportOptions, "createdAt">, call: Call) {
    const createdAt = new Date(this.#now()).toISOString();
    return await this.#seen(await stoppable(call, importArchive(this.#store, archive, { ...options, createdAt }, call)));
  }

  save(references: readonly string[], call: Call): AsyncIterable<Uint8Array> {
    const images = references.map((reference) => {
      const image = this.#store.records.get(reference);
      const named = this.#store.records.tagsOf(image.id).filter((tag) => sameName(reference, tag));
      return { image, tags: named };
    });
    return saveArchive(this.#store, images, call);
  }

  async root(imageId: string, form: RootForm, _call: Call): Promise<RootSource> {
    return await this.#roots.make(this.#store.records.get(imageId), form);
  }

  async contents(imageId: string) {
    const { id, layerKeys } = this.#store.records.get(imageId);
    try {
      return await this.#contents.of(id, layerKeys.map((key) => this.#store.layers.treePath(key)).toReversed());
    } catch (cause) {
      throw new Failure("INTERNAL", "the image's layers cannot be read", { remedy: "remove the image and fetch it again", cause });
    }
  }

  hold(imageId: string, holder: string): void {
    this.#holds.set(holder, this.#store.records.get(imageId).id);
  }

  release(holder: string): void {
    this.#holds.delete(holder);
  }

  async collect(call: Call) {
    return await collectGarbage(this.#store, this.#now(), call);
  }

  async settled() {
    await this.#settling.settled();
  }

  #holders(id: string): readonly string[] {
    return [...this.#holds].filter(([, image]) => image === id).map(([holder]) => holder);
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }

  async #seen(record: ImageRecord): Promise<ImageView> {
    this.#settling.begin();
    await this.#views.remember(record);
    return this.#views.of(record);
  }
}

function sameName(reference: string, tag: string): boolean {
  try {
    return tagKey(parseReference(reference)) === tag;
  } catch {
    return false;
  }
}
