/** Docker's multiplexed stream: each piece of output with a header of eight bytes that says which stream it belongs to. */

import type { Exchange } from "../exchange.ts";

export const RAW_STREAM = "application/vnd.docker.raw-stream";
const MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream";

const STREAM_NUMBER = { stdin: 0, stdout: 1, stderr: 2, system: 3 } as const;

export type OutputStream = keyof typeof STREAM_NUMBER;

/** Stream number, three zero bytes, length of the payload as u32 big-endian. */
export function streamHeader(stream: OutputStream, length: number): Buffer {
  const header = Buffer.alloc(8);
  header[0] = STREAM_NUMBER[stream];
  header.writeUInt32BE(length, 4);
  return header;
}

/** From API 1.42 on the type tells a terminal's raw bytes from a multiplexed stream; before, it was always called raw. */
export function streamType(exchange: Exchange, terminal: boolean): string {
  return terminal || exchange.apiVersion < 142 ? RAW_STREAM : MULTIPLEXED_STREAM;
}
