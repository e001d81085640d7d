/** Docker's stream of two outputs in one: header of 8 bytes (stream, 0, 0, 0, u32 BE length), then so many bytes. */

import { Failure } from "./failure.ts";

export interface OutputChunk {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

const HEADER_BYTES = 8;

/**
 * Takes the streams apart. Parts of a frame are yielded as they come, so memory stays bounded by a chunk whatever the
 * frame's length. Rejects CONNECTION_LOST where the stream ends within a frame, CORRUPT_DATA for an unknown stream.
 */
export async function* demultiplex(source: AsyncIterable<Uint8Array>): AsyncGenerator<OutputChunk> {
  let header = Buffer.alloc(0);
  let stream: OutputChunk["stream"] = "stdout";
  let missing = 0;
  for await (const chunk of source) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (rest.length > 0) {
      if (missing > 0) {
        const part = rest.subarray(0, missing);
        missing -= part.length;
        rest = rest.subarray(part.length);
        yield { stream, bytes: part };
        continue;
      }
      const wanted = HEADER_BYTES - header.length;
      header = Buffer.concat([header, rest.subarray(0, wanted)]);
      rest = rest.subarray(wanted);
      if (header.length < HEADER_BYTES) break;
      stream = streamOf(header.readUInt8(0));
      missing = header.readUInt32BE(4);
      header = Buffer.alloc(0);
    }
  }
  if (missing > 0 || header.length > 0) throw new Failure("CONNECTION_LOST", "the output ended in the middle of a frame");
}

function streamOf(number: number): OutputChunk["stream"] {
  if (number === 1 || number === 0) return "stdout";
  if (number === 2) return "stderr";
  throw new Failure("CORRUPT_DATA", `the daemon sent output of an unknown stream: ${number}`);
}

/** A terminal's output: one stream, nothing around it. */
export async function* plainOutput(source: AsyncIterable<Uint8Array>): AsyncGenerator<OutputChunk> {
  for await (const bytes of source) yield { stream: "stdout", bytes };
}
