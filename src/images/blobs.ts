/**
 * The content-addressed store: files named by the sha256 of their bytes. A blob appears under its name only when it is whole, checked
 * and synced; what a crash leaves lies in `staging` (removed at the next opening) or in `partial` (continued by the next pull).
 */

import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "../contract/failure.ts";
import { hexOf } from "./digest.ts";
import type { LeaseBundle } from "./leases.ts";

export interface Written {
  readonly digest: string;
  readonly sizeBytes: number;
}

export class Blobs {
  readonly #directory: string;
  #next = 0;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(directory: string): Promise<Blobs> {
    const blobs = new Blobs(directory);
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

  async remove(digest: string): Promise<void> {
    await rm(this.path(digest), { force: true });
  }

  async list(): Promise<readonly string[]> {
    return (await readdir(join(this.#directory, "blobs/sha256"))).filter((name) => /^[a-f0-9]{64}$/.test(name)).map((hex) => `sha256:${hex}`);
  }

  /** A fresh name in `staging`, for what is not yet known by its digest. */
  stagingPath(): string {
    return join(this.#directory, "staging", `${process.pid}-${this.#next++}`);
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
    const writer = await BlobWriter.create(this.stagingPath());
    await writer.write(bytes);
    return await this.keep(writer, leases);
  }

  /** Syncs what was written, leases it, and gives it its name. Rejects CORRUPT_DATA where another digest was expected, and removes it. */
  async keep(writer: BlobWriter, leases: LeaseBundle, expected?: string): Promise<Written> {
    const { path, written } = await writer.finish();
    if (expected !== undefined && written.digest !== expected) {
      await rm(path, { force: true });
      throw new Failure("CORRUPT_DATA", `the blob ${expected} has the digest ${written.digest}`, {
        remedy: "fetch it again; if that does not help, its source is damaged",
      });
    }
    leases.add(written.digest);
    await rename(path, this.path(written.digest));
    await syncDirectory(join(this.#directory, "blobs/sha256"));
    return written;
  }
}

/** A file that is hashed while it is written. */
export class BlobWriter {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #hash: Hash;
  #sizeBytes: number;

  private constructor(path: string, file: FileHandle, hash: Hash, sizeBytes: number) {
    this.#path = path;
    this.#file = file;
    this.#hash = hash;
    this.#sizeBytes = sizeBytes;
  }

  static async create(path: string): Promise<BlobWriter> {
    return new BlobWriter(path, await open(path, "wx", 0o600), createHash("sha256"), 0);
  }

  /** Goes on where an earlier attempt ended, if there was one: what it wrote is hashed again, never believed. */
  static async resume(path: string): Promise<BlobWriter> {
    const hash = createHash("sha256");
    const file = await open(path, "a+", 0o600);
    let sizeBytes = 0;
    for await (const piece of file.createReadStream({ start: 0, autoClose: false, highWaterMark: 1024 * 1024 })) {
      hash.update(piece as Buffer);
      sizeBytes += (piece as Buffer).length;
    }
    return new BlobWriter(path, file, hash, sizeBytes);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    this.#sizeBytes += bytes.length;
    for (let done = 0; done < bytes.length; ) done += (await this.#file.write(bytes, done).catch(refuse)).bytesWritten;
  }

  async finish(): Promise<{ readonly path: string; readonly written: Written }> {
    try {
      await this.#file.datasync().catch(refuse);
    } finally {
      await this.#file.close();
    }
    return { path: this.#path, written: { digest: `sha256:${this.#hash.digest("hex")}`, sizeBytes: this.#sizeBytes } };
  }

  /** Ends the writing and keeps the file: a later attempt may go on. */
  async leave(): Promise<void> {
    await this.#file.close();
  }

  async discard(): Promise<void> {
    await this.#file.close();
    await rm(this.#path, { force: true });
  }
}

function refuse(cause: NodeJS.ErrnoException): never {
  if (cause.code === "ENOSPC" || cause.code === "EDQUOT") {
    throw new Failure("EXHAUSTED", "the disk is full", { remedy: "free space below the root (`bulkhead image prune`), then ask again", cause });
  }
  throw cause;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** For files that another step may move away at any moment; every other fault stays one. */
function absentAsUndefined(thrown: unknown): undefined {
  if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
  throw thrown;
}
