/** The frames of `contract/frame.ts` on an upgraded connection: all of process 0. */

import { Failure } from "../../contract/failure.ts";
import { FRAME_HEADER_BYTES, FRAME_KIND, MAX_PAYLOAD_BYTES, type Frame, type FrameKind } from "../../contract/frame.ts";

const KINDS: ReadonlySet<number> = new Set(Object.values(FRAME_KIND));

export function frameHeader(kind: FrameKind, length: number): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUInt32LE(length, 0);
  header[4] = kind;
  return header;
}

/** A message as header and payload. */
export function messageFrame(message: object): readonly Uint8Array[] {
  const payload = Buffer.from(JSON.stringify(message));
  return [frameHeader(FRAME_KIND.message, payload.length), payload];
}

/** Cuts a stream of bytes into frames. What it holds is bounded by the longest frame. */
export class FrameReader {
  #held: Buffer = Buffer.alloc(0);

  /** Rejects CORRUPT_DATA for a length or kind that cannot be; the connection is of no use after that. */
  read(chunk: Buffer): readonly Frame[] {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const frames: Frame[] = [];
    for (;;) {
      if (this.#held.length < FRAME_HEADER_BYTES) return frames;
      const length = this.#held.readUInt32LE(0);
      const kind = this.#held[4] as number;
      if (length > MAX_PAYLOAD_BYTES) throw new Failure("CORRUPT_DATA", `a frame of ${length} bytes is longer than ${MAX_PAYLOAD_BYTES}`);
      if (!KINDS.has(kind)) throw new Failure("CORRUPT_DATA", `a frame of unknown kind ${kind}`);
      if (this.#held.length < FRAME_HEADER_BYTES + length) return frames;
      const payload = this.#held.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + length);
      frames.push({ kind: kind as FrameKind, process: this.#held.readUInt32LE(5), payload });
      this.#held = this.#held.subarray(FRAME_HEADER_BYTES + length);
    }
  }
}
