/** Images as others see them. */

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
  readonly #documents = new Map<string, { readonly document: Fields; readonly read: ConfigurationDocument }>();

  constructor(store: Store) {
    this.#store = store;
  }

  async remember(record: ImageRecord): Promise<void> {
    if (this.#documents.has(record.id)) return;
    const document = parseDocument(await readSmall(this.#store.blobs, record.id, "the configuration"), "the configuration");
    this.#documents.set(record.id, { document, read: readConfiguration(document) });
  }

  forget(id: string): void {
    this.#documents.delete(id);
  }

  /** The record must have been remembered. */
  of(record: ImageRecord): ImageView {
    const known = this.#documents.get(record.id);
    if (known === undefined) throw new Error(`the configuration of ${record.id} was not read`);
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
}
