/**
 * Layers that are unpacked while their archive still comes. Nobody knows yet which layers they are, nor over what they will lie: each is worked on in a
 * directory without a record, and becomes a layer only when its digest is the one that the image's configuration promises (`Layers.ensure`).
 * What cannot be done this way is not an error: then it is unpacked afterwards as if this had not been tried.
 */

import type { LauncherOk } from "../contract/launcher-protocol.ts";
import type { Store } from "./intake.ts";

/** At once, of one archive: a hostile one must not start a thousand. */
const MOST_AT_ONCE = 3;
/** By so many bytes, and the length, an archive's file is taken for a blob that is here already. */
const START_BYTES = 4096;

export interface EarlyLayer {
  /** Holds `tree`. */
  readonly directory: string;
  /** Undefined where it came to nothing. */
  readonly outcome: Promise<LauncherOk<"unpack"> | undefined>;
  /** Removes the directory, unless it has become a layer. */
  discard(): Promise<void>;
}

/** Of one archive. To be held by `await using`: what did not become a layer is removed. */
export class EarlyLayers implements AsyncDisposable {
  readonly #store: Store;
  readonly #begun: Promise<EarlyLayer | undefined>[] = [];
  readonly #byDigest = new Map<string, EarlyLayer>();
  #underWay = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** For the file at `path`, of which `start` has come. Taking away its name ends the work. */
  begin(path: string, sizeBytes: number, start: Uint8Array): Promise<EarlyLayer | undefined> {
    if (this.#underWay >= MOST_AT_ONCE) return Promise.resolve(undefined);
    this.#underWay++;
    const begun = this.#start(path, sizeBytes, start.subarray(0, START_BYTES)).catch(() => undefined);
    void begun.then((early) => early?.outcome).finally(() => this.#underWay--);
    this.#begun.push(begun);
    return begun;
  }

  async #start(path: string, sizeBytes: number, start: Uint8Array): Promise<EarlyLayer | undefined> {
    return (await this.#isHere(sizeBytes, start)) ? undefined : await this.#store.layers.begin(path, sizeBytes);
  }

  /** The file has come whole, and has this digest. */
  arrived(digest: string, early: EarlyLayer): void {
    this.#byDigest.set(digest, early);
  }

  of(digest: string): EarlyLayer | undefined {
    return this.#byDigest.get(digest);
  }

  /** Looks like a layer that an image has, which then need not be unpacked again. */
  async #isHere(sizeBytes: number, start: Uint8Array): Promise<boolean> {
    const equallyLong = this.#store.records.images().flatMap(({ layers }) => layers.flatMap((layer) => (layer.sizeBytes === sizeBytes ? [layer.digest] : [])));
    for (const digest of new Set(equallyLong)) if (await this.#store.blobs.startsWith(digest, start)) return true;
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#begun.map(async (begun) => await (await begun)?.discard()));
  }
}
