/** A request's body as an archive that somebody reads. */

import type { Exchange } from "./exchange.ts";

/**
 * Hands the body over as an archive. When it is refused half-way the rest is read and dropped: a client that is still sending
 * would otherwise see a broken pipe in place of the reason.
 */
export async function withArchive<T>(exchange: Exchange, take: (archive: AsyncIterable<Uint8Array>) => Promise<T>): Promise<T> {
  const archive = exchange.request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  try {
    return await take(archive);
  } finally {
    exchange.request.resume();
  }
}
