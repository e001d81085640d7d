/**
 * Disks beneath machines: `disks/HEX.raw`, where HEX is the digest of the image that it was made of. A raw image is its own disk. Each is made and
 * checked once, alone, when its image comes in, and again should it be missing.
 */

import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { LauncherAsk, LauncherOk } from "../contract/launcher-protocol.ts";
import type { RootSource } from "../contract/spec.ts";
import type { Blobs } from "./blobs.ts";
import { Coalesced } from "./coalesced.ts";
import { hexOf } from "./digest.ts";
import type { DiskFormat } from "./disk-artifact.ts";
import type { Space } from "./space.ts";

export interface DiskWorker {
  request(verb: "diskImage", ask: LauncherAsk<"diskImage">): Promise<LauncherOk<"diskImage">>;
}

export interface DisksOptions {
  readonly worker: DiskWorker;
  readonly blobs: Blobs;
  readonly space: Space;
  readonly maxBytes: number;
}

type Disk = Extract<RootSource, { form: "disk" }>;

export class Disks {
  readonly #directory: string;
  readonly #options: DisksOptions;
  readonly #made = new Map<string, Disk>();
  readonly #making = new Coalesced<Disk>();

  private constructor(directory: string, options: DisksOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  /** Removes what a crash half-made, and disks that no image has. */
  static async open(directory: string, options: DisksOptions, known: (digest: string) => boolean): Promise<Disks> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(directory)) {
      const hex = /^([a-f0-9]{64})\.raw$/.exec(name)?.[1];
      if (hex === undefined || !known(`sha256:${hex}`)) await rm(join(directory, name), { force: true });
    }
    return new Disks(directory, options);
  }

  /** Rejects UNSUPPORTED and CORRUPT_DATA for an image that must not or cannot be booted, and leaves nothing of it. */
  async ensure(digest: string, format: DiskFormat): Promise<Disk> {
    return this.#made.get(digest) ?? (await this.#making.run(digest, () => this.#make(digest, format)));
  }

  async #make(digest: string, format: DiskFormat): Promise<Disk> {
    const { worker, blobs, space, maxBytes } = this.#options;
    const blob = blobs.path(digest);
    const file = this.#path(digest);
    const { bytes, made } = await worker.request("diskImage", { blob, file, format, maxBytes, reserveBytes: await space.reserveBytes() });
    const disk: Disk = { form: "disk", file: made ? file : blob, bytes };
    this.#made.set(digest, disk);
    return disk;
  }

  async remove(digest: string): Promise<void> {
    this.#made.delete(digest);
    await rm(this.#path(digest), { force: true });
  }

  #path(digest: string): string {
    return join(this.#directory, `${hexOf(digest)}.raw`);
  }
}
