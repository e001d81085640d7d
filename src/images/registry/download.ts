/**
 * Blobs from a registry into the store. A connection that breaks is taken up where it ended, also by a later daemon: what
 * has come lies in `partial` under the blob's digest. Nothing is believed before the digest of the whole agrees.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { Failure } from "../../contract/failure.ts";
import type { BlobWriter } from "../blob-writer.ts";
import type { Blobs } from "../blobs.ts";
import type { LeaseBundle } from "../leases.ts";
import type { Descriptor } from "../manifest.ts";
import { reasonOf } from "./unreachable.ts";
import type { Session } from "./session.ts";

/** In a row, without one byte gained between them. */
const MAX_FRUITLESS = 5;
const MAX_ATTEMPTS = 100;

/** Resolves when the blob is in the store. `progress` gets the bytes that are here. */
export async function downloadBlob(
  session: Session,
  { blobs, leases }: { readonly blobs: Blobs; readonly leases: LeaseBundle },
  blob: Descriptor,
  progress: (bytes: number) => void,
): Promise<void> {
  let fruitless = 0;
  for (let attempt = 1; ; attempt++) {
    await using writer = await blobs.resume(blob.digest);
    const before = writer.sizeBytes;
    let broken: unknown;
    try {
      await fetchRest(session, blob, writer, progress);
    } catch (thrown) {
      // What cannot be the beginning of this blob goes, and so does what has filled the disk; anything else is continued.
      const useless = thrown instanceof StartAgain || (thrown instanceof Failure && ["CORRUPT_DATA", "EXHAUSTED"].includes(thrown.code));
      if (!useless) await writer.leave();
      if (thrown instanceof Failure && thrown.code !== "UNAVAILABLE") throw thrown;
      session.signal.throwIfAborted();
      broken = thrown;
    }
    if (broken === undefined) {
      await blobs.keep(writer, leases, blob.digest);
      return;
    }
    fruitless = writer.sizeBytes > before ? 0 : fruitless + 1;
    if (fruitless >= MAX_FRUITLESS || attempt >= MAX_ATTEMPTS) throw givenUp(session, blob, broken);
    await sleep(session.settings.retryDelayMs * 2 ** fruitless, undefined, { signal: session.signal });
  }
}

/** What lies in `partial` cannot be the beginning of this blob, or the registry cannot continue it. */
class StartAgain extends Error {}

async function fetchRest(session: Session, blob: Descriptor, writer: BlobWriter, progress: (bytes: number) => void): Promise<void> {
  const from = writer.sizeBytes;
  if (from > blob.sizeBytes) throw new StartAgain("more bytes are here than the blob has");
  if (from === blob.sizeBytes && from > 0) return;
  const headers: Record<string, string> = from === 0 ? {} : { range: `bytes=${from}-` };
  const response = await session.request({ method: "GET", path: `blobs/${blob.digest}`, headers }, [200, 206, 416]);
  const continued = response.statusCode === 206 && String(response.headers["content-range"] ?? "").startsWith(`bytes ${from}-`);
  if (from > 0 && !continued) {
    response.body.destroy();
    throw new StartAgain("the registry does not continue");
  }
  for await (const piece of response.body as AsyncIterable<Uint8Array>) {
    if (writer.sizeBytes + piece.length > blob.sizeBytes) {
      throw new Failure("CORRUPT_DATA", `${session.repository}: the blob ${blob.digest} is longer than the ${blob.sizeBytes} bytes its manifest says`);
    }
    await writer.write(piece);
    progress(writer.sizeBytes);
  }
  if (writer.sizeBytes < blob.sizeBytes) throw new Error(`the connection ended after ${writer.sizeBytes} of ${blob.sizeBytes} bytes`);
}

function givenUp(session: Session, blob: Descriptor, cause: unknown): Failure {
  return new Failure("UNAVAILABLE", `${session.repository}: fetching the blob ${blob.digest.slice(0, 19)} failed again and again: ${reasonOf(cause)}`, {
    remedy: "try again: what has come is kept and will be continued",
    cause,
  });
}
