/**
 * The frame of the native run: u32 LE length of the payload, u8 kind, u32 LE process, payload. The numbers are those
 * of the daemon's own wire, compared with it by a test.
 */

import { Failure } from "./failure.ts";

export const FRAME_HEADER_BYTES = 9;
export const MAX_PAYLOAD_BYTES = 1024 * 1024;
export const FRAME_KIND = { message: 0, stdin: 1, stdout: 2, stderr: 3, end: 4, credit: 5 } as const;

export type FrameKind = (typeof FRAME_KIND)[keyof typeof FRAME_KIND];

export interface Frame {
  readonly kind: FrameKind;
  readonly process: number;
  readonly payload: Uint8Array;
}

const KINDS: readonly number[] = Object.values(FRAME_KIND);

export function encodeFrame(kind: FrameKind, payload: Uint8Array, process = 0): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  frame.writeUInt32LE(payload.length, 0);
  frame.writeUInt8(kind, 4);
  frame.writeUInt32LE(process, 5);
  frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}

/** Yields whole frames. Rejects CORRUPT_DATA for a length or kind that cannot be, CONNECTION_LOST for an end within a frame. */
export async function* readFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    const fresh = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    rest = rest.length === 0 ? fresh : Buffer.concat([rest, fresh]);
    while (rest.length >= FRAME_HEADER_BYTES) {
      const length = rest.readUInt32LE(0);
      const kind = rest.readUInt8(4);
      if (length > MAX_PAYLOAD_BYTES || !KINDS.includes(kind))
        throw new Failure("CORRUPT_DATA", `the daemon sent a frame of kind ${kind} and length ${length}`);
      if (rest.length < FRAME_HEADER_BYTES + length) break;
      yield { kind: kind as FrameKind, process: rest.readUInt32LE(5), payload: rest.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + length) };
      rest = rest.subarray(FRAME_HEADER_BYTES + length);
    }
  }
  if (rest.length > 0) throw new Failure("CONNECTION_LOST", "the connection ended in the middle of a frame");
}
