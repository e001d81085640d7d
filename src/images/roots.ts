/** Root forms: an image's layers as the directories or as the drive that a boundary wants. */

import { mkdir, open, readdir, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RootForm } from "../contract/boundary.ts";
import { Failure } from "../contract/failure.ts";
import type { RootSource } from "../contract/spec.ts";
import { Coalesced } from "./coalesced.ts";
import type { Blobs } from "./blobs.ts";
import { hexOf } from "./digest.ts";
import { diskOf, refuseDisk } from "./disk-artifact.ts";
import type { Disks } from "./disks.ts";
import type { Layers } from "./layers.ts";
import type { ImageRecord } from "./records.ts";
import { HEADER_BYTES, joinExtents } from "./vmdk.ts";
import { moduleOf } from "./wasm-artifact.ts";

/** What roots are made of. */
export interface RootParts {
  readonly layers: Layers;
  readonly blobs: Blobs;
  readonly disks: Disks;
}

export class Roots {
  readonly #directory: string;
  readonly #layers: Layers;
  readonly #blobs: Blobs;
  readonly #disks: Disks;
  readonly #made = new Map<string, RootSource>();
  readonly #making = new Coalesced<RootSource>();

  private constructor(directory: string, { layers, blobs, disks }: RootParts) {
    this.#directory = directory;
    this.#layers = layers;
    this.#blobs = blobs;
    this.#disks = disks;
  }

  /** Removes drives of images that are no more. Those of known images stay: bundles name them. */
  static async open(directory: string, parts: RootParts, known: (imageId: string) => boolean): Promise<Roots> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(directory)) {
      const hex = /^([a-f0-9]{64})\.vmdk$/.exec(name)?.[1];
      if (name !== "header" && (hex === undefined || !known(`sha256:${hex}`))) await rm(join(directory, name), { force: true });
    }
    const header = join(directory, "header");
    await writeFile(header, "");
    await truncate(header, HEADER_BYTES);
    return new Roots(directory, parts);
  }

  /** Rejects UNSUPPORTED for the forms that an image of layers does not have. */
  async make(image: ImageRecord, form: RootForm): Promise<RootSource> {
    const module = moduleOf(image);
    if (form === "module") return { form, layers: this.#trees(image), ...(module === undefined ? {} : { file: this.#blobs.path(module) }) };
    if (module !== undefined) throw new Failure("UNSUPPORTED", "the image is a wasm module and holds no files", { remedy: "choose the isolation wasm" });
    const disk = diskOf(image);
    if (form === "disk" && disk !== undefined) return await this.#disks.ensure(disk.digest, disk.format);
    if (disk !== undefined) throw refuseDisk();
    if (form === "directories") {
      return { form, layers: this.#trees(image) };
    }
    if (form !== "block-image") {
      throw new Failure("UNSUPPORTED", `an OCI image of layers cannot be made a ${form} yet`, {
        remedy: "choose the isolation container or microvm, or import a disk: bulkhead import --disk FILE NAME",
      });
    }
    // Machines of one image start side by side: one of them makes the drive.
    return this.#made.get(image.id) ?? this.#making.run(image.id, () => this.#makeDrive(image));
  }

  /** Uppermost first. */
  #trees(image: ImageRecord): readonly string[] {
    return image.layerKeys.map((key) => this.#layers.treePath(key)).toReversed();
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
