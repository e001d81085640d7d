/** A file that is hashed while it is written. Nothing is synced: see settling.ts. */

import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { Failure } from "../contract/failure.ts";
import { REMEDY, type Space } from "./space.ts";

export interface Written {
  readonly digest: string;
  readonly sizeBytes: number;
}

/** Written in one go, while the next ones are hashed. */
const GATHER_BYTES = 256 * 1024;

/** To be held by `await using`: unless it was finished or left, closing it removes the file. */
export class BlobWriter implements AsyncDisposable {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #hash = createHash("sha256");
  readonly #room: (bytes: number) => Promise<void>;
  #sizeBytes = 0;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #writing: Promise<void> | undefined;
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

  get path(): string {
    return this.#path;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Rejects EXHAUSTED on a full disk, and before it is full: see `Space`. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.#room(bytes.length);
    this.#hash.update(bytes);
    this.#sizeBytes += bytes.length;
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
    if (this.#gatheredBytes >= GATHER_BYTES) await this.#writeOut();
    if (this.#fault !== undefined) refuse(this.#fault);
  }

  /** Begins to write what was gathered, once what was begun before is written. */
  async #writeOut(): Promise<void> {
    await this.#writing;
    const pieces = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (this.#fault === undefined && pieces.length > 0) this.#writing = this.#writeAll(pieces);
  }

  /** Never rejects: a failure is kept for whoever writes or finishes next. */
  async #writeAll(pieces: readonly Uint8Array[]): Promise<void> {
    try {
      let { bytesWritten } = await this.#file.writev(pieces);
      for (const piece of pieces) {
        // A write may be cut short; what is missing goes out piece by piece.
        for (; bytesWritten < piece.length; bytesWritten += (await this.#file.write(piece, bytesWritten)).bytesWritten);
        bytesWritten -= piece.length;
      }
    } catch (thrown) {
      this.#fault = thrown as NodeJS.ErrnoException;
    }
  }

  /** Closes. What could not be written whole is removed. */
  async finish(): Promise<{ readonly path: string; readonly written: Written }> {
    await this.leave();
    if (this.#fault !== undefined) {
      await rm(this.#path, { force: true });
      refuse(this.#fault);
    }
    return { path: this.#path, written: { digest: `sha256:${this.#hash.digest("hex")}`, sizeBytes: this.#sizeBytes } };
  }

  /** Ends the writing and keeps the file: a later attempt may go on. */
  async leave(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#writeOut();
    await this.#writing;
    await this.#file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#gathered = [];
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
