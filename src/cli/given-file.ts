/** Files that the caller names: what cannot be read or written is told by its name, with what to do. */

import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { Failure } from "../../sdk/src/index.ts";

/** The text of a file; `-` is standard input. Rejects with a sentence and a remedy where it cannot be read. */
export function readGivenText(path: string): string {
  if (path === "-") return readFileSync(0, "utf8");
  return readGivenBytes(path).toString("utf8");
}

export function readGivenBytes(path: string): Buffer {
  const { descriptor } = openGivenFile(path);
  try {
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The reader closes it. */
export function openGivenFile(path: string): { readonly descriptor: number; readonly size: number } {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, "r");
    const status = fstatSync(descriptor);
    if (status.isDirectory()) throw Object.assign(new Error("it is a directory"), { code: "EISDIR" });
    return { descriptor, size: status.size };
  } catch (thrown) {
    if (descriptor !== undefined) closeSync(descriptor);
    throw unusableFile("read", path, thrown);
  }
}

const REASONS: Readonly<Record<string, readonly [what: string, remedy: string]>> = {
  ENOENT: ["there is no such file", "check the path: it is taken from the directory that you are in"],
  EISDIR: ["it is a directory", "name a file in it"],
  ENOTDIR: ["what it names as a directory is a file", "check the path"],
  EACCES: ["you may not", "change its mode or that of its directory, or name another"],
  EROFS: ["it lies on a read-only filesystem", "name a file elsewhere"],
  ENOSPC: ["the disk is full", "make room there, or name a file elsewhere"],
};

/** What the filesystem said, as a failure. */
export function unusableFile(verb: "read" | "write", path: string, thrown: unknown): Failure {
  const { code = "error", message } = thrown as NodeJS.ErrnoException;
  const [what, remedy] = REASONS[code] ?? [message, `name a file that can be ${verb === "read" ? "read" : "written"}`];
  const missing = code === "ENOENT" && verb === "write" ? (["its directory is not there", "make the directory first"] as const) : undefined;
  return new Failure(code === "ENOENT" && verb === "read" ? "NOT_FOUND" : "INVALID_SPEC", `cannot ${verb} ${JSON.stringify(path)}: ${missing?.[0] ?? what}`, {
    remedy: missing?.[1] ?? remedy,
    cause: thrown,
  });
}
