/** Bodies of answers, with a limit. */

import { Failure } from "../../contract/failure.ts";

/** Rejects CORRUPT_DATA where there is more. */
export async function readBody(body: AsyncIterable<Uint8Array>, maxBytes: number, what: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let total = 0;
  for await (const piece of body) {
    total += piece.length;
    if (total > maxBytes) throw new Failure("CORRUPT_DATA", `${what} has more than ${maxBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
