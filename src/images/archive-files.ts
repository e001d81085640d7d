/** The files of an image archive, streamed into the store: small ones stay in memory, large ones become blobs at once. */

import { posix } from "node:path";
import { Readable } from "node:stream";
import { extract } from "tar-stream";
import type { Call } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { Blobs } from "./blobs.ts";
import { decompressed } from "./compression.ts";
import { digestOf } from "./digest.ts";
import type { EarlyLayer, EarlyLayers } from "./early-layers.ts";
import type { Progress } from "./intake.ts";
import type { LeaseBundle } from "./leases.ts";
import { MAX_MANIFEST_BYTES } from "./manifest.ts";

const MEMORY_BYTES = 256 * 1024;
const MAX_MEMORY_BYTES = 64 * 1024 * 1024;
/** A thousand images of twenty layers each. More are somebody's trick to keep the daemon busy. */
const MAX_FILES = 20_000;

/** Where its files go. `early`: the large ones are unpacked while they come. */
interface Destination {
  readonly blobs: Blobs;
  readonly leases: LeaseBundle;
  readonly progress: Progress;
  readonly early?: EarlyLayers;
}

type Stored = { readonly bytes: Buffer } | { readonly digest: string };

export class ArchiveFiles {
  readonly #blobs: Blobs;
  readonly #leases: LeaseBundle;
  readonly #early: EarlyLayers | undefined;
  readonly #files = new Map<string, Stored>();
  readonly #links = new Map<string, string>();
  #memoryBytes = 0;

  private constructor({ blobs, leases, early }: Destination) {
    this.#blobs = blobs;
    this.#leases = leases;
    this.#early = early;
  }

  /** Reads the archive to its end. What it brings is leased in the bundle. Rejects CORRUPT_DATA for what is no whole archive. */
  static async read(archive: AsyncIterable<Uint8Array>, to: Destination, call: Call): Promise<ArchiveFiles> {
    const files = new ArchiveFiles(to);
    const input = Readable.from(decompressed(archive), { signal: call.signal });
    const entries = extract();
    input.on("error", (error) => entries.destroy(error));
    input.pipe(entries);
    try {
      for await (const entry of entries) {
        const { name, type, linkname, size } = entry.header;
        if (files.#files.size + files.#links.size >= MAX_FILES) throw tooMany(MAX_FILES, "files");
        if (type === "file" || type === "contiguous-file") await files.#take(normal(name), size, entry as AsyncIterable<Uint8Array>, to.progress);
        else if (type === "symlink") files.#links.set(normal(name), normal(posix.join(posix.dirname(name), linkname ?? "")));
        else if (type === "link") files.#links.set(normal(name), normal(linkname ?? ""));
        entry.resume();
      }
    } catch (thrown) {
      throw call.signal.aborted || thrown instanceof Failure || (thrown as NodeJS.ErrnoException).code !== undefined
        ? thrown
        : new Failure("CORRUPT_DATA", `the archive is not a whole tar archive: ${(thrown as Error).message}`, { cause: thrown });
    } finally {
      input.destroy();
    }
    return files;
  }

  async #take(name: string, size: number, entry: AsyncIterable<Uint8Array>, progress: Progress): Promise<void> {
    const promised = /^blobs\/sha256\/([a-f0-9]{64})$/.exec(name)?.[1];
    if (size <= MEMORY_BYTES && this.#memoryBytes + size <= MAX_MEMORY_BYTES) {
      const pieces: Uint8Array[] = [];
      for await (const piece of entry) pieces.push(piece);
      const bytes = Buffer.concat(pieces);
      if (promised !== undefined && digestOf(bytes) !== `sha256:${promised}`)
        throw new Failure("CORRUPT_DATA", `the archive's blob ${promised} has another digest`);
      this.#memoryBytes += bytes.length;
      this.#files.set(name, { bytes });
      return;
    }
    const shown = promised?.slice(0, 12) ?? name.slice(0, 12);
    await this.#blobs.space.require(size, "the archive");
    await using writer = await this.#blobs.create();
    let early: Promise<EarlyLayer | undefined> | undefined;
    for await (const piece of entry) {
      early ??= this.#early?.begin(writer.path, size, piece);
      await writer.write(piece);
      progress({ layer: shown, status: "Loading layer", current: writer.sizeBytes, total: size });
    }
    const { digest } = await this.#blobs.keep(writer, this.#leases, promised === undefined ? undefined : `sha256:${promised}`);
    const begun = await early;
    if (begun !== undefined) this.#early?.arrived(digest, begun);
    this.#files.set(name, { digest });
  }

  /** A document's bytes; undefined where the archive has no such file. */
  async document(name: string): Promise<Buffer | undefined> {
    const file = this.#find(name);
    if (file === undefined) return undefined;
    if ("bytes" in file) return file.bytes;
    const size = await this.#blobs.size(file.digest);
    if (size === undefined || size > MAX_MANIFEST_BYTES) throw new Failure("CORRUPT_DATA", `${name} in the archive has ${size} bytes`);
    return await this.#blobs.bytes(file.digest);
  }

  /** Makes a file of the archive a blob of the store, and leases it. Rejects CORRUPT_DATA where the archive has no such file. */
  async blob(name: string): Promise<{ readonly digest: string; readonly sizeBytes: number }> {
    const file = this.#find(name);
    if (file === undefined) throw new Failure("CORRUPT_DATA", `the archive has no file ${JSON.stringify(name.slice(0, 200))}, which its manifest names`);
    if ("bytes" in file) return await this.#blobs.put(file.bytes, this.#leases);
    return { digest: file.digest, sizeBytes: (await this.#blobs.size(file.digest)) ?? 0 };
  }

  #find(name: string): Stored | undefined {
    let at = normal(name);
    for (let steps = 0; steps < 8; steps++) {
      const target = this.#links.get(at);
      if (target === undefined) return this.#files.get(at);
      at = target;
    }
    return undefined;
  }
}

function tooMany(most: number, what: string): Failure {
  return new Failure("CORRUPT_DATA", `the archive has more than ${most} ${what}`, {
    remedy: "an image archive has few; a root filesystem is taken in by `bulkhead import`",
  });
}

/** Names are only compared, never opened. */
function normal(name: string): string {
  return posix.normalize(`/${name}`).slice(1).replace(/\/$/, "");
}
