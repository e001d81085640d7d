/**
 * Between an answer and the disk. What comes into the store is answered for when it is whole for every process; the disk has it a moment later:
 *
 *     blob, tree ─▶ mark ─▶ record ─▶ answer ─▶ syncLayers ─▶ marks taken away, durably
 *
 * A mark is written before the record that makes its blob or layer believed, into the same log, so that no loss of power can keep the record and lose
 * the mark. The death of the daemon loses nothing; the next one has the disk get the rest. After the death of the host whatever still bears a mark is
 * believed no longer: see recovery.ts.
 */

import type { Log } from "../contract/call.ts";
import { toFailure } from "../contract/failure.ts";
import type { Collection, StateStore } from "../state/index.ts";
import type { LayerWorker } from "./layers.ts";

interface Mark {
  readonly version: 1;
  /** The disk refused it once. A later sync says nothing about it, so that the mark stays for the next recovery. */
  readonly refused?: true;
}

export interface SettlingOptions {
  readonly state: StateStore;
  /** Holds blobs and layers. */
  readonly directory: string;
  readonly worker: LayerWorker;
  readonly log?: Log | undefined;
}

/** The two things that bear marks. */
export const blobMark = (digest: string) => `blob ${digest}`;
export const layerMark = (key: string) => `layer ${key}`;

export class Settling {
  readonly #options: SettlingOptions;
  readonly #marks: Collection<Mark>;
  /** Marks since the sync under way was begun: it may have missed what they stand for. */
  readonly #fresh = new Set<string>();
  #running: Promise<void> | undefined;
  #again = false;

  constructor(options: SettlingOptions) {
    this.#options = options;
    this.#marks = options.state.collection<Mark>("image-unsettled");
  }

  /** To be called when its bytes were written and before it is believed. */
  mark(name: string): void {
    this.#marks.put(name, { version: 1 });
    this.#fresh.add(name);
  }

  marked(): readonly string[] {
    return [...this.#marks.all()].map(([name]) => name);
  }

  unmark(name: string): void {
    this.#marks.delete(name);
  }

  /** Has the disk get everything that bears a mark now, while others go on. What cannot be done is logged, and its marks stay. */
  begin(): void {
    this.#again = true;
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      this.#fresh.clear();
      const names = [...this.#marks.all()].flatMap(([name, { refused }]) => (refused === true ? [] : [name]));
      if (names.length === 0) continue;
      try {
        if (!(await this.#sync(names))) return;
        this.#takeAway(names);
      } catch (thrown) {
        // The state store was closed meanwhile, or cannot be written: the marks stay, and the next daemon goes on.
        this.#options.log?.debug({ failure: toFailure(thrown).message }, "the images' marks stay");
        return;
      }
    }
  }

  async #sync(names: readonly string[]): Promise<boolean> {
    try {
      await this.#options.worker.request("syncLayers", { directory: this.#options.directory });
      return true;
    } catch (thrown) {
      const { code, message } = toFailure(thrown);
      this.#options.log?.warn({ code, failure: message }, "images that were loaded are not known to be on the disk");
      // A launcher that went away, or one of an earlier release, says nothing about the disk.
      if (!["CONNECTION_LOST", "UNAVAILABLE", "UNSUPPORTED"].includes(code)) for (const name of names) this.#marks.put(name, { version: 1, refused: true });
      return false;
    }
  }

  #takeAway(names: readonly string[]): void {
    const { state } = this.#options;
    state.transaction(() => {
      for (const name of names) if (!this.#fresh.has(name)) this.#marks.delete(name);
      // A durable write syncs everything that was committed before it: the records too.
      state.collection("image-barrier").put("settled", {}, { durable: true });
    });
  }
}
