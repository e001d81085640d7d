/** Root forms: an image's layers as the directories or as the drive that a boundary wants. */

import { mkdir, open, readdir, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RootForm } from "../contract/boundary.ts";
import { Failure } from "../contract/failure.ts";
import type { RootSource } from "../contract/spec.ts";
import { Coalesced } from "./coalesced.ts";
import { hexOf } from "./digest.ts";
import type { Layers } from "./layers.ts";
import type { ImageRecord } from "./records.ts";
import { HEADER_BYTES, joinExtents } from "./vmdk.ts";

export class Roots {
  readonly #directory: string;
  readonly #layers: Layers;
  readonly #made = new Map<string, RootSource>();
  readonly #making = new Coalesced<RootSource>();

  private constructor(directory: string, layers: Layers) {
    this.#directory = directory;
    this.#layers = layers;
  }

  /** Removes drives of images that are no more. Those of known images stay: bundles name them. */
  static async open(directory: string, layers: Layers, known: (imageId: string) => boolean): Promise<Roots> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(directory)) {
      const hex = /^([a-f0-9]{64})\.vmdk$/.exec(name)?.[1];
      if (name !== "header" && (hex === undefined || !known(`sha256:${hex}`))) await rm(join(directory, name), { force: true });
    }
    const header = join(directory, "header");
    await writeFile(header, "");
    await truncate(header, HEADER_BYTES);
    return new Roots(directory, layers);
  }

  /** Rejects UNSUPPORTED for the forms that an image of layers does not have. */
  async make(image: ImageRecord, form: RootForm): Promise<RootSource> {
    if (form === "directories") {
      return { form, layers: image.layerKeys.map((key) => this.#layers.treePath(key)).toReversed() };
    }
    if (form !== "block-image") {
      throw new Failure("UNSUPPORTED", `an OCI image of layers cannot be made a ${form} yet`, { remedy: "choose the isolation container or microvm" });
    }
    // Machines of one image start side by side: one of them makes the drive.
    return this.#made.get(image.id) ?? this.#making.run(image.id, () => this.#makeDrive(image));
  }

  async #makeDrive(image: ImageRecord): Promise<RootSource> {
    const extents: { path: string; lengthBytes: number }[] = [];
    for (const key of image.layerKeys) extents.push({ path: this.#layers.imagePath(key), lengthBytes: await this.#layers.ensureImage(key) });
    const header = join(this.#directory, "header");
    const { descriptor, offsetsBytes } = joinExtents(header, extents);
    const path = this.#drivePath(image.id);
    const temporary = `${path}.${process.pid}`;
    const file = await open(temporary, "w", 0o644);
    try {
      await file.writeFile(descriptor);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    const root: RootSource = {
      form: "block-image",
      drive: { path, format: "vmdk" },
      extents: [header, ...extents.map((extent) => extent.path)],
      layers: extents.map(({ lengthBytes }, index) => ({ offsetBytes: offsetsBytes[index] as number, lengthBytes })).toReversed(),
    };
    this.#made.set(image.id, root);
    return root;
  }

  async forget(imageId: string): Promise<void> {
    this.#made.delete(imageId);
    await rm(this.#drivePath(imageId), { force: true });
  }

  #drivePath(imageId: string): string {
    return join(this.#directory, `${hexOf(imageId)}.vmdk`);
  }
}
