/** A file that is hashed while it is written. */

import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { Failure } from "../contract/failure.ts";
import { REMEDY, type Space } from "./space.ts";

export interface Written {
  readonly digest: string;
  readonly sizeBytes: number;
}

const FLUSH_EVERY_BYTES = 16 * 1024 * 1024;

/** To be held by `await using`: unless it was finished or left, closing it removes the file. */
export class BlobWriter implements AsyncDisposable {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #hash = createHash("sha256");
  readonly #room: (bytes: number) => Promise<void>;
  #sizeBytes = 0;
  #flushedBytes = 0;
  #flushing: Promise<void> | undefined;
  #fault: NodeJS.ErrnoException | undefined;
  #open = true;

  private constructor(path: string, file: FileHandle, space: Space) {
    this.#path = path;
    this.#file = file;
    this.#room = space.watch("the image");
  }

  /** A new file. */
  static async create(path: string, space: Space): Promise<BlobWriter> {
    return new BlobWriter(path, await open(path, "wx", 0o600).catch(refuse), space);
  }

  /** Goes on where an earlier attempt ended, if there was one: what it wrote is hashed again, never believed. */
  static async resume(path: string, space: Space): Promise<BlobWriter> {
    const writer = new BlobWriter(path, await open(path, "a+", 0o600).catch(refuse), space);
    try {
      writer.#sizeBytes = await hashFile(writer.#file, writer.#hash);
    } catch (thrown) {
      await writer.leave();
      throw thrown;
    }
    return writer;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Rejects EXHAUSTED on a full disk, and before it is full: see `Space`. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.#room(bytes.length);
    this.#hash.update(bytes);
    this.#sizeBytes += bytes.length;
    for (let done = 0; done < bytes.length; ) done += (await this.#file.write(bytes, done).catch(refuse)).bytesWritten;
    if (this.#flushing === undefined && this.#sizeBytes - this.#flushedBytes >= FLUSH_EVERY_BYTES) this.#flushing = this.#flush();
  }

  /** The disk works while the bytes still come, so that the last sync has little to wait for. The kernel tells a failure once: it is kept. */
  async #flush(): Promise<void> {
    this.#flushedBytes = this.#sizeBytes;
    await this.#file.datasync().catch((thrown: NodeJS.ErrnoException) => (this.#fault = thrown));
    this.#flushing = undefined;
  }

  /** Syncs and closes. A file that cannot be synced is removed. */
  async finish(): Promise<{ readonly path: string; readonly written: Written }> {
    try {
      await this.#flushing;
      await this.#file.datasync().catch(refuse);
      if (this.#fault !== undefined) refuse(this.#fault);
      await this.leave();
    } finally {
      await this[Symbol.asyncDispose]();
    }
    return { path: this.#path, written: { digest: `sha256:${this.#hash.digest("hex")}`, sizeBytes: this.#sizeBytes } };
  }

  /** Ends the writing and keeps the file: a later attempt may go on. */
  async leave(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#flushing;
    await this.#file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    await this.leave();
    await rm(this.#path, { force: true });
  }
}

async function hashFile(file: FileHandle, hash: Hash): Promise<number> {
  let sizeBytes = 0;
  for await (const piece of file.createReadStream({ start: 0, autoClose: false, highWaterMark: 1024 * 1024 })) {
    hash.update(piece as Buffer);
    sizeBytes += (piece as Buffer).length;
  }
  return sizeBytes;
}

function refuse(cause: NodeJS.ErrnoException): never {
  if (cause.code === "ENOSPC" || cause.code === "EDQUOT") throw new Failure("EXHAUSTED", "the disk is full", { remedy: REMEDY, cause });
  throw cause;
}
