/** Files of a runtime directory, which others write: whatever became of one, reading it takes a bounded time and memory. */

import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { open } from "node:fs/promises";
import { Failure, quote } from "../contract/failure.ts";

/** No program's last word is longer. */
const TAIL_BYTES = 4096;

/** The text of a file, or undefined where there is none. Rejects CORRUPT_DATA for what is no plain file, or longer than that. `what` is it: "exit record". */
export async function findSmallFile(path: string, what: string, mostBytes: number): Promise<string | undefined> {
  // Not waiting: a pipe in its place would never be opened by a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW).catch(absentAsUndefined);
  if (file === undefined) return undefined;
  try {
    const refuse = (how: string) =>
      new Failure("CORRUPT_DATA", `The ${what} ${quote(path)} ${how}`, { remedy: "it was not written by Bulkhead: see who writes there" });
    if (!(await file.stat()).isFile()) throw refuse("is no plain file");
    const bytes = Buffer.alloc(mostBytes + 1);
    let length = 0;
    for (let got = -1; got !== 0 && length < bytes.length; length += got) got = (await file.read(bytes, length, bytes.length - length)).bytesRead;
    if (length > mostBytes) throw refuse(`is longer than ${mostBytes} bytes`);
    return bytes.toString("utf8", 0, length);
  } finally {
    await file.close();
  }
}

/** The last line of a log, however long the log is. */
export function lastLine(path: string): string {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const bytes = Buffer.alloc(TAIL_BYTES);
    const length = readSync(file, bytes, 0, bytes.length, Math.max(0, fstatSync(file).size - bytes.length));
    return bytes.toString("utf8", 0, length).trimEnd().split("\n").at(-1) ?? "";
  } finally {
    closeSync(file);
  }
}

function absentAsUndefined(thrown: NodeJS.ErrnoException): undefined {
  if (thrown.code === "ENOENT") return undefined;
  if (thrown.code === "ELOOP") throw new Failure("CORRUPT_DATA", "A file of a runtime directory is a symbolic link", { cause: thrown });
  throw thrown;
}
