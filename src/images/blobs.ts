/**
 * The content-addressed store: files named by the sha256 of their bytes. A blob appears under its name only when it is whole and checked (what the death
 * of the host does to that: settling.ts); what a crash leaves lies in `staging` (removed at the next opening) or in `partial` (continued by the next pull).
 */

import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "../contract/failure.ts";
import { BlobWriter, type Written } from "./blob-writer.ts";
import { hexOf } from "./digest.ts";
import type { LeaseBundle } from "./leases.ts";
import { blobMark, type Settling } from "./settling.ts";
import type { Space } from "./space.ts";

export class Blobs {
  /** Room for them, and for what is unpacked from them. */
  readonly space: Space;
  readonly #directory: string;
  readonly #settling: Pick<Settling, "mark">;
  #next = 0;

  private constructor(directory: string, space: Space, settling: Pick<Settling, "mark">) {
    this.#directory = directory;
    this.space = space;
    this.#settling = settling;
  }

  static async open(directory: string, space: Space, settling: Pick<Settling, "mark">): Promise<Blobs> {
    const blobs = new Blobs(directory, space, settling);
    await rm(join(directory, "staging"), { recursive: true, force: true });
    for (const part of ["blobs/sha256", "staging", "partial"]) await mkdir(join(directory, part), { recursive: true, mode: 0o700 });
    return blobs;
  }

  path(digest: string): string {
    return join(this.#directory, "blobs/sha256", hexOf(digest));
  }

  /** Its size, or undefined where it is not here. */
  async size(digest: string): Promise<number | undefined> {
    return await stat(this.path(digest)).then(
      (found) => found.size,
      () => undefined,
    );
  }

  read(digest: string): AsyncIterable<Uint8Array> {
    return createReadStream(this.path(digest), { highWaterMark: 1024 * 1024 });
  }

  async bytes(digest: string): Promise<Buffer> {
    return await readFile(this.path(digest));
  }

  /** False also where it is not here. */
  async startsWith(digest: string, start: Uint8Array): Promise<boolean> {
    for await (const piece of createReadStream(this.path(digest), { end: start.length - 1 })) return Buffer.from(start).equals(piece as Buffer);
    return false;
  }

  async remove(digest: string): Promise<void> {
    await rm(this.path(digest), { force: true });
  }

  async list(): Promise<readonly string[]> {
    return (await readdir(join(this.#directory, "blobs/sha256"))).filter((name) => /^[a-f0-9]{64}$/.test(name)).map((hex) => `sha256:${hex}`);
  }

  /** For what is not yet known by its digest. */
  async create(): Promise<BlobWriter> {
    return await BlobWriter.create(join(this.#directory, "staging", `${process.pid}-${this.#next++}`), this.space);
  }

  /** For a blob that is promised, from where an earlier attempt ended. */
  async resume(digest: string): Promise<BlobWriter> {
    return await BlobWriter.resume(this.partialPath(digest), this.space);
  }

  partialPath(digest: string): string {
    return join(this.#directory, "partial", hexOf(digest));
  }

  async partials(): Promise<readonly { readonly digest: string; readonly modifiedAtMs: number; readonly sizeBytes: number }[]> {
    const names = (await readdir(join(this.#directory, "partial"))).filter((name) => /^[a-f0-9]{64}$/.test(name));
    const found = await Promise.all(
      names.map(async (hex) => {
        // One that became whole meanwhile has left this folder.
        const seen = await stat(join(this.#directory, "partial", hex)).catch(absentAsUndefined);
        return seen === undefined ? [] : [{ digest: `sha256:${hex}`, modifiedAtMs: seen.mtimeMs, sizeBytes: seen.size }];
      }),
    );
    return found.flat();
  }

  async put(bytes: Uint8Array, leases: LeaseBundle): Promise<Written> {
    await using writer = await this.create();
    await writer.write(bytes);
    return await this.keep(writer, leases);
  }

  /**
   * Leases what was written and gives it its name. What has the name already stays: it may be on the disk for long, and this is not. Rejects CORRUPT_DATA
   * where another digest was expected. After a rejection its file is gone.
   */
  async keep(writer: BlobWriter, leases: LeaseBundle, expected?: string): Promise<Written> {
    const { path, written } = await writer.finish();
    try {
      if (expected !== undefined && written.digest !== expected) {
        throw new Failure("CORRUPT_DATA", `the blob ${expected} has the digest ${written.digest}`, {
          remedy: "fetch it again; if that does not help, its source is damaged",
        });
      }
      leases.add(written.digest);
      if ((await this.size(written.digest)) === written.sizeBytes) {
        await rm(path, { force: true });
        return written;
      }
      this.#settling.mark(blobMark(written.digest));
      await rename(path, this.path(written.digest));
    } catch (thrown) {
      await rm(path, { force: true });
      throw thrown;
    }
    return written;
  }
}

/** For files that another step may move away at any moment; every other fault stays one. */
function absentAsUndefined(thrown: unknown): undefined {
  if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
  throw thrown;
}
