/**
 * Room on the disk that holds the store. A disk that is wholly full stops the daemon's own records and every workload that writes, so that a
 * part of it is never given to images: what is known to be too large is refused before the first byte, everything else when it gets there.
 */

import { statfs } from "node:fs/promises";
import { Failure } from "../contract/failure.ts";

const MAX_DEFAULT_RESERVE_BYTES = 1024 ** 3;
/** Between two looks at the disk, where it has as much left. */
const LOOK_EVERY_BYTES = 16 * 1024 ** 2;

export class Space {
  readonly #directory: string;
  readonly #reserveBytes: number | undefined;

  /** Without `reserveBytes` a twentieth of the disk is kept, and not more than 1 GiB. */
  constructor(directory: string, reserveBytes?: number) {
    this.#directory = directory;
    this.#reserveBytes = reserveBytes;
  }

  /** What images must leave free. */
  async reserveBytes(): Promise<number> {
    if (this.#reserveBytes !== undefined) return this.#reserveBytes;
    const { blocks, bsize } = await statfs(this.#directory);
    return Math.min(Math.floor((blocks * bsize) / 20), MAX_DEFAULT_RESERVE_BYTES);
  }

  /** Rejects EXHAUSTED where `bytes` more would leave less than the reserve. `what` needs them: "the image", "the archive". Gives what is left then. */
  async require(bytes: number, what: string): Promise<number> {
    const { bavail, bsize } = await statfs(this.#directory);
    const [free, reserve] = [bavail * bsize, await this.reserveBytes()];
    if (free - bytes >= reserve) return free - bytes - reserve;
    throw new Failure(
      "EXHAUSTED",
      `the disk is too full for ${what}: ${inWords(free)} are free, ${inWords(bytes)} more are needed, ${inWords(reserve)} are kept in reserve`,
      {
        remedy: REMEDY,
      },
    );
  }

  /** A watcher for a stream whose length nobody knows: told of each piece, it rejects EXHAUSTED when the reserve is reached. */
  watch(what: string): (bytes: number) => Promise<void> {
    let left = 0;
    return async (bytes) => {
      left -= bytes;
      if (left < 0) left = Math.min(await this.require(bytes, what), LOOK_EVERY_BYTES);
    };
  }
}

export const REMEDY = "free space below the root (`bulkhead image prune`), or lower images.reserveBytes in the configuration, then ask again";

function inWords(bytes: number): string {
  if (bytes < 1024 ** 2) return `${Math.ceil(bytes / 1024)} KiB`;
  return bytes < 10 * 1024 ** 3 ? `${Math.ceil(bytes / 1024 ** 2)} MiB` : `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
