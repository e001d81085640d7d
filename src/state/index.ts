/**
 * The state store: SQLite in WAL mode. Tables are named collections of JSON documents with a key, so that each folder
 * keeps its own shape and version; migrations run at opening. `durable` writes are synced before they return, others survive
 * the daemon's death but not the machine's.
 */

export interface Collection<T> {
  get(key: string): T | undefined;
  put(key: string, document: T, options?: { readonly durable?: boolean }): void;
  delete(key: string): void;
  /** In order of insertion. */
  all(): IterableIterator<readonly [key: string, document: T]>;
}

export interface StateStore {
  collection<T>(name: string): Collection<T>;
  /** All or nothing. */
  transaction<R>(work: () => R): R;
  close(): void;
}

export { openStateStore } from "./store.ts";
