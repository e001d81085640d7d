/**
 * The frame that every wire of Bulkhead uses: daemon ↔ launcher, daemon ↔ supervisor, supervisor ↔ guest agent.
 *
 *     offset 0   u32 LE   length of the payload in bytes, at most MAX_PAYLOAD_BYTES
 *     offset 4   u8       kind
 *     offset 5   u32 LE   process number (0 is the main process; 0 as well where none is meant)
 *     offset 9   payload
 *
 * A longer length, an unknown kind, or a message that is not a JSON object ends the connection: there is no resynchronising.
 */

export const FRAME_HEADER_BYTES = 9;
export const MAX_PAYLOAD_BYTES = 1024 * 1024;

export const FRAME_KIND = {
  /** UTF-8 JSON object. */
  message: 0,
  stdin: 1,
  stdout: 2,
  stderr: 3,
  /** One byte of payload: the kind (1, 2 or 3) of the stream that has ended. */
  end: 4,
  /** u32 LE: so many further bytes of that process's stream may be sent. First payload byte: the stream's kind. */
  credit: 5,
} as const;

export type FrameKind = (typeof FRAME_KIND)[keyof typeof FRAME_KIND];

export interface Frame {
  readonly kind: FrameKind;
  readonly process: number;
  readonly payload: Uint8Array;
}
