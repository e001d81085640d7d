/** Images as others see them. */

import { readFileSync } from "node:fs";
import { Failure } from "../contract/failure.ts";
import { type ConfigurationDocument, readConfiguration } from "./configuration.ts";
import { diskOf } from "./disk-artifact.ts";
import { type Fields, parseDocument } from "./document.ts";
import type { ImageView } from "./index.ts";
import { readSmall, type Store } from "./intake.ts";
import { familiar, parseReference } from "./reference.ts";
import type { ImageRecord } from "./records.ts";
import { moduleOf } from "./wasm-artifact.ts";

/** Configurations of all images, read once, so that looking an image up needs no file. */
export class Views {
  readonly #store: Store;
  readonly #documents = new Map<string, Known>();

  constructor(store: Store) {
    this.#store = store;
  }

  async remember(record: ImageRecord): Promise<void> {
    if (this.#documents.has(record.id)) return;
    this.#documents.set(record.id, parse(await readSmall(this.#store.blobs, record.id, "the configuration")));
  }

  forget(id: string): void {
    this.#documents.delete(id);
  }

  /** Rejects NOT_FOUND where the image went meanwhile. */
  of(record: ImageRecord): ImageView {
    const known = this.#documents.get(record.id) ?? this.#readNow(record.id);
    // A module and a disk are not unpacked: what travelled is what lies here.
    const sizes =
      moduleOf(record) === undefined && diskOf(record) === undefined
        ? record.layerKeys.map((key) => this.#store.layers.get(key).bytes)
        : record.layers.map((layer) => layer.sizeBytes);
    const { configuration, createdAt, diffIds, history } = known.read;
    let layer = 0;
    return {
      id: record.id,
      tags: this.#store.records.tagsOf(record.id).map((tag) => familiar(parseReference(tag))),
      digests: record.digests.map((name) => familiar(parseReference(name))),
      createdAt,
      sizeBytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
      configuration,
      document: known.document,
      diffIds,
      history: history.map((entry) => ({ ...entry, sizeBytes: entry.emptyLayer ? 0 : (sizes[layer++] ?? 0) })),
    };
  }

  /** A record is found as soon as it stands, which is a moment before its configuration was remembered. */
  #readNow(id: string): Known {
    try {
      return parse(readFileSync(this.#store.blobs.path(id)));
    } catch (thrown) {
      throw new Failure("NOT_FOUND", `No such image: ${id}: it was removed meanwhile`, { cause: thrown });
    }
  }
}

interface Known {
  readonly document: Fields;
  readonly read: ConfigurationDocument;
}

function parse(bytes: Buffer): Known {
  const document = parseDocument(bytes, "the configuration");
  return { document, read: readConfiguration(document) };
}
