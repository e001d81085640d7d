/**
 * One daemon per root. The lock is the kernel's (SQLite's exclusive lock on a file of its own), so that it ends with
 * the process that holds it, however that ends; the pid beside it is only for the sentence that refuses a second one.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Failure } from "../contract/failure.ts";

export interface RootLock {
  release(): void;
}

/** Rejects ALREADY_EXISTS, naming the holder, where another daemon holds the root. */
export function lockRoot(directory: string): RootLock {
  const holderFile = join(directory, "daemon.pid");
  const database = new DatabaseSync(join(directory, "lock.db"));
  try {
    database.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    if (!/locked|busy/i.test(String(cause))) {
      throw new Failure("UNAVAILABLE", `The lock of ${directory} cannot be taken: ${cause instanceof Error ? cause.message : String(cause)}`, {
        remedy: `See that ${directory} is on a local filesystem with room and may be written`,
        cause,
      });
    }
    const holder = readHolder(holderFile);
    throw new Failure("ALREADY_EXISTS", `Another daemon${holder === undefined ? "" : ` (process ${holder})`} already runs on ${directory}`, {
      remedy: "Use that one, stop it first, or give this one another --root and --socket",
      cause,
    });
  }
  writeFileSync(holderFile, `${process.pid}\n`, { mode: 0o644 });
  return { release: () => database.close() };
}

function readHolder(file: string): string | undefined {
  try {
    const text = readFileSync(file, "utf8").trim();
    return /^\d{1,10}$/.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}
