/** Which compression a stream has, by its first bytes, and the stream without it. */

import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { Failure, toFailure } from "../contract/failure.ts";

export type Compression = "none" | "gzip" | "zstd";

const MAGIC: readonly (readonly [Compression | "bzip2" | "xz", readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
];

/** Rejects UNSUPPORTED, naming it, for compressions that archives have and images must not have. */
export function compressionOf(start: Uint8Array): Compression {
  const found = MAGIC.find(([, magic]) => magic.every((byte, index) => start[index] === byte))?.[0] ?? "none";
  if (found === "bzip2" || found === "xz") {
    throw new Failure("UNSUPPORTED", `the archive is compressed by ${found}`, { remedy: "compress it with gzip or zstd, or not at all" });
  }
  return found;
}

/** The stream uncompressed; damage in it is CORRUPT_DATA. */
export async function* decompressed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { start, whole } = await peek(source);
  const compression = compressionOf(start);
  if (compression === "none") {
    yield* whole;
    return;
  }
  const through = compression === "gzip" ? createGunzip({ chunkSize: 256 * 1024 }) : createZstdDecompress({ chunkSize: 256 * 1024 });
  const input = Readable.from(whole);
  input.on("error", (error) => through.destroy(error));
  try {
    yield* input.pipe(through) as AsyncIterable<Uint8Array>;
  } catch (thrown) {
    if (toFailure(thrown) === thrown || (thrown as NodeJS.ErrnoException).name === "AbortError") throw thrown;
    throw new Failure("CORRUPT_DATA", `the archive's ${compression} stream is damaged or cut off`, { cause: thrown });
  } finally {
    through.destroy();
    input.destroy();
  }
}

async function peek(source: AsyncIterable<Uint8Array>): Promise<{ start: Uint8Array; whole: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  let start = Buffer.alloc(0);
  while (start.length < 6) {
    const next = await iterator.next();
    if (next.done === true) break;
    start = Buffer.concat([start, next.value]);
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      if (start.length > 0) yield start;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { start, whole: whole() };
}
