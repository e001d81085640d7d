/** Room that is held back for the store, so that on a full disk what fills it can still be stopped and removed. */

import { closeSync, fstatSync, openSync, statSync, truncateSync, writeSync } from "node:fs";

/** Several pages of the log each; a program that fills the disk takes what is left of a slice before the next write needs one. */
const SLICE = 256 * 1024;
const SLICES = 16;

export class DiskReserve {
  readonly #path: string;
  #slices = 0;

  constructor(path: string) {
    this.#path = path;
    this.refill();
  }

  /** Makes it whole again as far as the disk has room; no more than a comparison where it is whole. */
  refill(): void {
    if (this.#slices === SLICES) return;
    try {
      const file = openSync(this.#path, "a", 0o600);
      try {
        // Bytes are written, for a hole reserves nothing.
        const zeros = Buffer.alloc(SLICE);
        for (let size = fstatSync(file).size; size + SLICE <= SLICES * SLICE; size += SLICE) if (writeSync(file, zeros) < SLICE) break;
      } finally {
        closeSync(file);
      }
    } catch {
      // The disk is full: what was written up to here counts.
    }
    this.#count();
  }

  /** Gives one slice back to the disk. False where none is left. */
  release(): boolean {
    if (this.#slices === 0) return false;
    try {
      truncateSync(this.#path, (this.#slices - 1) * SLICE);
    } catch {
      this.#slices = 0;
      return false;
    }
    this.#slices -= 1;
    return true;
  }

  #count(): void {
    const size = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    this.#slices = Math.floor(size / SLICE);
  }
}
