/** The schema, step by step. A released step is never changed; a new one is added below it. */

import type { DatabaseSync } from "node:sqlite";
import { Failure } from "../contract/failure.ts";

const STEPS: readonly string[] = [
  `CREATE TABLE document (
     ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
     collection TEXT NOT NULL,
     key TEXT NOT NULL,
     body TEXT NOT NULL,
     UNIQUE (collection, key)
   ) STRICT;
   CREATE TABLE barrier (count INTEGER NOT NULL) STRICT;
   INSERT INTO barrier VALUES (0);`,
];

/** Brings a database to this program's version, all steps or none. Rejects UNSUPPORTED where it is newer, leaving it untouched. */
export function migrate(database: DatabaseSync, path: string): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    database.exec("CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY, appliedAt TEXT NOT NULL) STRICT");
    const row = database.prepare("SELECT coalesce(max(version), 0) AS version FROM migration").get();
    const found = Number(row?.["version"]);
    if (found > STEPS.length) {
      throw new Failure("UNSUPPORTED", `The state store ${path} has version ${found}; this program knows versions up to ${STEPS.length}`, {
        remedy: "Start the newer Bulkhead that wrote it, or name another --root",
      });
    }
    const record = database.prepare("INSERT INTO migration VALUES (?, datetime('now'))");
    for (let version = found + 1; version <= STEPS.length; version++) {
      database.exec(STEPS[version - 1] as string);
      record.run(version);
    }
    database.exec("COMMIT");
  } catch (thrown) {
    database.exec("ROLLBACK");
    throw thrown;
  }
}
