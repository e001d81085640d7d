/** The state store on SQLite. See index.ts for what it promises. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { diskFull, Failure } from "../contract/failure.ts";
import type { Collection, StateStore } from "./index.ts";
import { migrate } from "./migrations.ts";
import { DiskReserve } from "./reserve.ts";
import { type RootLock, lockRoot } from "./root-lock.ts";

/**
 * Opens the store of a root, making it where there is none. Rejects ALREADY_EXISTS where another daemon holds the root,
 * UNSUPPORTED where a newer program wrote it, CORRUPT_DATA where it is no database.
 */
export function openStateStore(directory: string): StateStore {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const lock = lockRoot(directory);
  try {
    return new SqliteStateStore(join(directory, "state.db"), lock, join(directory, "reserve"));
  } catch (thrown) {
    lock.release();
    throw thrown;
  }
}

/** After a write the log is folded into the database once nothing was written for so long: folding waits for the disk, and no request shall. */
const FOLD_AFTER_MS = 1000;
/** Without such a moment it is folded by whoever writes the page that makes it so long: 32 MiB. */
const MOST_LOG_PAGES = 8192;

class SqliteStateStore implements StateStore {
  readonly #database: DatabaseSync;
  readonly #lock: RootLock;
  readonly #reserve: DiskReserve;
  readonly #collections = new Map<string, SqliteCollection>();
  readonly #barrier: StatementSync;
  #depth = 0;
  /** A durable put inside a transaction: synced when the outermost one commits, for SQLite fixes the level at BEGIN. */
  #durableWanted = false;
  #open = true;
  readonly #fold: NodeJS.Timeout;

  constructor(path: string, lock: RootLock, reserve: string) {
    this.#lock = lock;
    this.#database = openDatabase(path);
    this.#reserve = new DiskReserve(reserve);
    this.#barrier = this.#database.prepare("UPDATE barrier SET count = count + 1");
    this.#fold = setTimeout(() => this.#foldLog(), FOLD_AFTER_MS).unref();
  }

  collection<T>(name: string): Collection<T> {
    let collection = this.#collections.get(name);
    if (collection === undefined) {
      collection = new SqliteCollection(this.#database, name, {
        write: (write) => this.#write(write),
        sync: () => this.#sync(),
        written: () => this.#fold.refresh(),
        removed: () => this.#reserve.refill(), // there may be room again
      });
      this.#collections.set(name, collection);
    }
    return collection as Collection<unknown> as Collection<T>;
  }

  transaction<R>(work: () => R): R {
    if (this.#depth > 0) return work(); // joins the outer one: all or nothing holds for the whole
    this.#database.exec("BEGIN IMMEDIATE");
    this.#depth = 1;
    this.#durableWanted = false;
    let result: R;
    try {
      result = work();
      if (result instanceof Promise) throw new Failure("INTERNAL", "A transaction's work must be synchronous: another request could write between its steps");
      this.#write(() => this.#database.exec("COMMIT"));
    } catch (thrown) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw thrown;
    } finally {
      this.#depth = 0;
    }
    if (this.#durableWanted) this.#sync();
    return result;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    clearTimeout(this.#fold);
    this.#database.close();
    this.#lock.release();
  }

  #foldLog(): void {
    try {
      this.#database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } catch {
      // A full disk, most likely: the log keeps everything, and the next quiet moment tries again.
    }
  }

  /** Where the disk is full, a write takes of the reserve: else nobody could remove what fills it. */
  #write(write: () => unknown): void {
    const within = this.#database.isTransaction;
    for (;;) {
      try {
        write();
        break;
      } catch (thrown) {
        if (!isDiskFull(thrown)) throw thrown;
        // A transaction that SQLite has already rolled back cannot be gone on with.
        if (this.#database.isTransaction !== within || !this.#reserve.release()) throw diskFull(thrown);
      }
    }
  }

  /** One tiny commit at the level FULL: the write-ahead log is synced, and with it everything committed before. */
  #sync(): void {
    if (this.#depth > 0) {
      this.#durableWanted = true;
      return;
    }
    this.#database.exec("PRAGMA synchronous = FULL");
    try {
      this.#write(() => this.#barrier.run());
    } finally {
      this.#database.exec("PRAGMA synchronous = NORMAL");
    }
  }
}

/** What a collection asks of the store that it is part of. */
interface StoreOfCollection {
  write(write: () => unknown): void;
  sync(): void;
  written(): void;
  removed(): void;
}

class SqliteCollection implements Collection<unknown> {
  readonly #name: string;
  readonly #store: StoreOfCollection;
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #all: StatementSync;

  constructor(database: DatabaseSync, name: string, store: StoreOfCollection) {
    this.#name = name;
    this.#store = store;
    this.#get = database.prepare("SELECT body FROM document WHERE collection = ? AND key = ?");
    // An update keeps the row and so its place in the order of insertion.
    this.#put = database.prepare(
      "INSERT INTO document (collection, key, body) VALUES (?, ?, ?) ON CONFLICT (collection, key) DO UPDATE SET body = excluded.body",
    );
    this.#delete = database.prepare("DELETE FROM document WHERE collection = ? AND key = ?");
    this.#all = database.prepare("SELECT key, body FROM document WHERE collection = ? ORDER BY ordinal");
  }

  get(key: string): unknown {
    const row = this.#get.get(this.#name, key);
    return row === undefined ? undefined : JSON.parse(String(row["body"]));
  }

  put(key: string, document: unknown, options: { readonly durable?: boolean } = {}): void {
    const body = JSON.stringify(document);
    if (body === undefined) throw new Failure("INTERNAL", `A document without a JSON form was to be stored in ${this.#name}`);
    this.#store.write(() => this.#put.run(this.#name, key, body));
    this.#store.written();
    if (options.durable === true) this.#store.sync();
  }

  delete(key: string): void {
    this.#store.write(() => this.#delete.run(this.#name, key));
    this.#store.written();
    this.#store.removed();
  }

  /** Read at once, so that writing while walking is harmless. */
  *all(): IterableIterator<readonly [key: string, document: unknown]> {
    for (const row of this.#all.all(this.#name)) yield [String(row["key"]), JSON.parse(String(row["body"]))];
  }
}

/** SQLITE_FULL; the code of node:sqlite's errors is on the object alone. */
function isDiskFull(thrown: unknown): boolean {
  return thrown instanceof Error && "errcode" in thrown && thrown.errcode === 13;
}

function openDatabase(path: string): DatabaseSync {
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(path);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000; PRAGMA foreign_keys = ON");
    database.exec(`PRAGMA wal_autocheckpoint = ${MOST_LOG_PAGES}`);
  } catch (cause) {
    throw new Failure("CORRUPT_DATA", `The state store ${path} cannot be opened as a database`, {
      remedy: `Restore ${path} from a backup, or move it away: the daemon then starts empty and workloads that run are ended as unknown`,
      cause,
    });
  }
  try {
    migrate(database, path);
  } catch (thrown) {
    database.close();
    throw thrown;
  }
  return database;
}
