/** What the state store knows of images: plain, versioned documents, kept in memory as well so that looking up is synchronous. */

import { Failure } from "../contract/failure.ts";
import type { Collection, StateStore } from "../state/index.ts";
import { isDigest } from "./digest.ts";
import { deleteDurably } from "./durable.ts";
import { familiar, parseReference, type Reference, repositoryOf, tagKey } from "./reference.ts";

export interface LayerReference {
  /** Of the blob as it travelled. */
  readonly digest: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** Of its uncompressed bytes. */
  readonly diffId: string;
}

export interface ImageRecord {
  readonly version: 1;
  /** The configuration's digest. */
  readonly id: string;
  readonly manifest: string;
  /** Lowest first. */
  readonly layers: readonly LayerReference[];
  /** Keys of the unpacked layers, lowest first (see layers.ts). */
  readonly layerKeys: readonly string[];
  /** `docker.io/library/alpine@sha256:…`: under which digests registries know it. */
  readonly digests: readonly string[];
}

interface TagRecord {
  readonly version: 1;
  readonly image: string;
}

export class Records {
  readonly #state: StateStore;
  readonly #imageDocuments: Collection<ImageRecord>;
  readonly #tagDocuments: Collection<TagRecord>;
  readonly #images: Map<string, ImageRecord>;
  /** From tag key to image. */
  readonly #tags: Map<string, string>;

  constructor(state: StateStore) {
    this.#state = state;
    this.#imageDocuments = state.collection<ImageRecord>("images");
    this.#tagDocuments = state.collection<TagRecord>("image-tags");
    this.#images = new Map(this.#imageDocuments.all());
    this.#tags = new Map([...this.#tagDocuments.all()].map(([tag, { image }]) => [tag, image]));
  }

  images(): readonly ImageRecord[] {
    return [...this.#images.values()];
  }

  image(id: string): ImageRecord | undefined {
    return this.#images.get(id);
  }

  tagsOf(id: string): readonly string[] {
    return [...this.#tags].filter(([, image]) => image === id).map(([tag]) => tag);
  }

  /** By tag, digest, id or beginning of an id, in this order, as Docker does; undefined where nothing has it. */
  find(text: string): ImageRecord | undefined {
    const prefixed = `sha256:${text}`;
    if (isDigest(text)) return this.#images.get(text);
    const full = isDigest(prefixed) ? this.#images.get(prefixed) : undefined;
    return full ?? this.#findNamed(text) ?? this.#findBeginning(text);
  }

  #findNamed(text: string): ImageRecord | undefined {
    let reference: Reference;
    try {
      reference = parseReference(text);
    } catch {
      return undefined;
    }
    if (reference.digest === undefined) return this.#images.get(this.#tags.get(tagKey(reference)) ?? "");
    const name = `${repositoryOf(reference)}@${reference.digest}`;
    return this.images().find((image) => image.digests.includes(name));
  }

  #findBeginning(text: string): ImageRecord | undefined {
    const digits = text.startsWith("sha256:") ? text.slice("sha256:".length) : text;
    if (!/^[a-f0-9]{1,64}$/.test(digits)) return undefined;
    const matching = this.images().filter(({ id }) => id.startsWith(`sha256:${digits}`));
    if (matching.length > 1) throw new Failure("INVALID_SPEC", `${matching.length} images have ids beginning with ${digits}`, { remedy: "write more digits" });
    return matching[0];
  }

  /** Rejects NOT_FOUND in Docker's words, by which its clients know it. */
  get(text: string): ImageRecord {
    const found = this.find(text);
    if (found !== undefined) return found;
    throw new Failure("NOT_FOUND", `No such image: ${shown(text)}`, {
      remedy: `fetch it with \`bulkhead pull ${text.slice(0, 200)}\`, or see \`bulkhead images\``,
    });
  }

  /** Adds or joins: an image that is known keeps its digests. On the disk when its parts are: see settling.ts. */
  put(record: ImageRecord, tags: readonly string[]): ImageRecord {
    const known = this.#images.get(record.id);
    const joined = { ...record, digests: [...new Set([...(known?.digests ?? []), ...record.digests])] };
    this.#state.transaction(() => {
      this.#imageDocuments.put(record.id, joined);
      for (const tag of tags) this.#tagDocuments.put(tag, { version: 1, image: record.id });
    });
    this.#images.set(record.id, joined);
    for (const tag of tags) this.#tags.set(tag, record.id);
    return joined;
  }

  tag(id: string, tag: string): void {
    this.#tagDocuments.put(tag, { version: 1, image: id }, { durable: true });
    this.#tags.set(tag, id);
  }

  untag(tag: string): void {
    this.#tagDocuments.delete(tag);
    this.#tags.delete(tag);
  }

  /** Synced before it returns: the caller removes files next. */
  delete(id: string): void {
    deleteDurably(this.#state, () => {
      for (const tag of this.tagsOf(id)) this.#tagDocuments.delete(tag);
      this.#imageDocuments.delete(id);
    });
    for (const tag of this.tagsOf(id)) this.#tags.delete(tag);
    this.#images.delete(id);
  }
}

/** As the client wrote it, with the tag it meant. */
function shown(text: string): string {
  try {
    const reference = parseReference(text);
    return familiar(reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: "latest" } : reference);
  } catch {
    return text.slice(0, 200);
  }
}
