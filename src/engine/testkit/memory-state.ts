/** A state store in memory that outlives engines, and can be cut at its n-th write as SIGKILL cuts a daemon. */

import type { Collection, StateStore } from "../../state/index.ts";

export interface Cut {
  /** Counted from 1. */
  readonly write: number;
  /** Whether that write still reaches the disk. */
  readonly when: "before" | "after";
  /** Called once, as the daemon dies: everything else of it must fall silent too. */
  readonly die: () => void;
}

/** The disk: documents as text, because that is what survives. */
export class MemoryDisk {
  readonly collections = new Map<string, Map<string, string>>();
  writes = 0;
  /** Every write fails, as on a disk without room. */
  full = false;

  open(cut?: Cut): StateStore {
    let dead = false;
    let count = 0;
    const write = (effect: () => void) => {
      if (dead) throw new Error("killed");
      if (this.full) throw new Error("database or disk is full");
      count++;
      this.writes++;
      const here = cut?.write === count;
      if (!here || cut.when === "after") effect();
      if (!here) return;
      dead = true;
      cut.die();
      throw new Error("killed");
    };
    return {
      collection: <T>(name: string): Collection<T> => {
        const rows = this.collections.get(name) ?? new Map<string, string>();
        this.collections.set(name, rows);
        return {
          get: (key) => (rows.has(key) ? (JSON.parse(rows.get(key) ?? "") as T) : undefined),
          put: (key, document) => write(() => rows.set(key, JSON.stringify(document))),
          delete: (key) => write(() => rows.delete(key)),
          *all() {
            const snapshot = Array.from(rows);
            for (const [key, text] of snapshot) yield [key, JSON.parse(text) as T] as const;
          },
        };
      },
      transaction: (work) => work(),
      close() {},
    };
  }

  count(name: string): number {
    return this.collections.get(name)?.size ?? 0;
  }
}
