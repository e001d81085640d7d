/** The frame of `contract/frame.ts` as bytes: written whole, read piece by piece without copying what need not be copied. */

import { Failure } from "../contract/failure.ts";
import { FRAME_HEADER_BYTES, FRAME_KIND, type FrameKind, MAX_PAYLOAD_BYTES } from "../contract/frame.ts";

const MAX_KIND = FRAME_KIND.credit;
const EMPTY = Buffer.alloc(0);

/** One frame. Rejects nothing: the caller cuts payloads at `MAX_PAYLOAD_BYTES`, and a longer one is a fault of ours. */
export function encodeFrame(kind: FrameKind, process: number, payload: Uint8Array): Buffer {
  if (payload.length > MAX_PAYLOAD_BYTES) throw new Failure("INTERNAL", `A frame of ${payload.length} bytes was to be sent; at most ${MAX_PAYLOAD_BYTES} go`);
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  writeHeader(frame, { kind, process, length: payload.length });
  frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}

/** One message frame. A message that does not fit into a frame is INVALID_SPEC: only a caller's own data can be that large. */
export function encodeMessage(message: object): Buffer {
  const text = JSON.stringify(message);
  const length = Buffer.byteLength(text);
  if (length > MAX_PAYLOAD_BYTES) throw new Failure("INVALID_SPEC", `The request is ${length} bytes long; at most ${MAX_PAYLOAD_BYTES} can be carried out`);
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + length);
  writeHeader(frame, { kind: FRAME_KIND.message, process: 0, length });
  frame.write(text, FRAME_HEADER_BYTES);
  return frame;
}

function writeHeader(frame: Buffer, header: { kind: FrameKind; process: number; length: number }): void {
  frame.writeUInt32LE(header.length, 0);
  frame.writeUInt8(header.kind, 4);
  frame.writeUInt32LE(header.process, 5);
}

/** Called for each whole frame. The payload is a view that stays valid: nobody writes into it again. */
export type FrameListener = (kind: FrameKind, process: number, payload: Buffer) => void;

/** Takes chunks as they arrive and gives whole frames, holding at most one unfinished frame. */
export class FrameDecoder {
  readonly #listener: FrameListener;
  #pieces: Buffer[] = [];
  #held = 0;
  /** Bytes that must be held before anything can be decided. */
  #wanted = FRAME_HEADER_BYTES;

  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  /** True between frames: a connection that ends elsewhere was cut. */
  get empty(): boolean {
    return this.#held === 0;
  }

  /** Rejects CORRUPT_DATA for a length or kind that the wire does not have; the connection is then useless. */
  push(chunk: Buffer): void {
    this.#held += chunk.length;
    if (this.#held < this.#wanted) {
      this.#pieces.push(chunk);
      return;
    }
    let bytes = chunk;
    if (this.#pieces.length > 0) {
      this.#pieces.push(chunk);
      bytes = Buffer.concat(this.#pieces, this.#held);
      this.#pieces = [];
    }
    this.#take(bytes);
  }

  #take(bytes: Buffer): void {
    let at = 0;
    this.#wanted = FRAME_HEADER_BYTES;
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const length = bytes.readUInt32LE(at);
      const kind = bytes.readUInt8(at + 4);
      if (length > MAX_PAYLOAD_BYTES) throw new Failure("CORRUPT_DATA", `A frame announced ${length} bytes; at most ${MAX_PAYLOAD_BYTES} are allowed`);
      if (kind > MAX_KIND) throw new Failure("CORRUPT_DATA", `A frame of the unknown kind ${kind} arrived`);
      const end = at + FRAME_HEADER_BYTES + length;
      if (end > bytes.length) {
        this.#wanted = end - at;
        break;
      }
      this.#listener(kind as FrameKind, bytes.readUInt32LE(at + 5), bytes.subarray(at + FRAME_HEADER_BYTES, end));
      at = end;
    }
    const rest = at === bytes.length ? EMPTY : bytes.subarray(at);
    this.#held = rest.length;
    if (rest.length > 0) this.#pieces = [rest];
  }
}

/** A message frame's object. Rejects CORRUPT_DATA for anything else. */
export function parseMessage(payload: Buffer): Record<string, unknown> {
  let message: unknown;
  try {
    message = JSON.parse(payload.toString("utf8"));
  } catch (cause) {
    throw new Failure("CORRUPT_DATA", "A message arrived that is not JSON", { cause });
  }
  if (typeof message !== "object" || message === null || Array.isArray(message))
    throw new Failure("CORRUPT_DATA", "A message arrived that is not a JSON object");
  return message as Record<string, unknown>;
}
