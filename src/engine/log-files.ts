/**
 * The files of one rotating log: `log.json` is written, `log.json.1` is older, and so on. Files are known by inode, because
 * names move while one reads. A rotation renames the oldest first, which is what makes looking upwards safe: whatever moves,
 * moves into what has not been looked at yet.
 */

import { open, stat, type FileHandle } from "node:fs/promises";

export interface LogFile {
  readonly handle: FileHandle;
  readonly inode: bigint;
}

const isMissing = (thrown: unknown) => thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT";

async function openFile(path: string): Promise<LogFile | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, "r");
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
  const { ino } = await handle.stat({ bigint: true });
  return { handle, inode: ino };
}

async function inodeOf(path: string): Promise<bigint | undefined> {
  try {
    return (await stat(path, { bigint: true })).ino;
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}

const nameOf = (path: string, number: number) => (number === 0 ? path : `${path}.${number}`);

/** Everything there is, oldest first: the oldest is looked for, and each one's successor from there, because many renames may pass meanwhile. */
export async function openLogFiles(path: string, maxFiles: number): Promise<LogFile[]> {
  const files: LogFile[] = [];
  for (let file = await openOldest(path, maxFiles); file !== undefined; file = await openSuccessor(path, maxFiles, file.inode)) files.push(file);
  return files;
}

async function openOldest(path: string, maxFiles: number): Promise<LogFile | undefined> {
  for (let number = maxFiles - 1; number >= 0; number--) {
    const file = await openFile(nameOf(path, number));
    if (file === undefined) continue;
    if (!(await hasOlder(path, maxFiles, { number, inode: file.inode }))) return file;
    // A rotation has carried an older one past us: look again from the top.
    await file.handle.close();
    number = maxFiles;
  }
  return undefined;
}

async function hasOlder(path: string, maxFiles: number, than: { readonly number: number; readonly inode: bigint }): Promise<boolean> {
  for (let number = than.number + 1; number < maxFiles; number++) {
    const inode = await inodeOf(nameOf(path, number));
    if (inode !== undefined && inode !== than.inode) return true;
  }
  return false;
}

/** The file that was begun when this one was put aside; undefined where this one is still written to. */
export async function openSuccessor(path: string, maxFiles: number, inode: bigint): Promise<LogFile | undefined> {
  for (;;) {
    const number = await positionOf(path, maxFiles, inode);
    if (number === 0) return undefined;
    // Rotated away altogether: the oldest that is left is the closest that can be had.
    if (number === undefined) return openOldest(path, maxFiles);
    const next = await openFile(nameOf(path, number - 1));
    // Between two renames the name is free for a moment: the next look finds it.
    if (next === undefined) return undefined;
    if (next.inode !== inode && (await inodeOf(nameOf(path, number))) === inode) return next;
    await next.handle.close();
  }
}

async function positionOf(path: string, maxFiles: number, inode: bigint): Promise<number | undefined> {
  for (let number = 0; number < maxFiles; number++) if ((await inodeOf(nameOf(path, number))) === inode) return number;
  return undefined;
}

const BLOCK_BYTES = 64 * 1024;

/** Where the last `lines` whole lines before `end` of the newest file begin: the file's place in the list, and the offset in it. */
export async function findTail(files: readonly LogFile[], lines: number, end: number): Promise<{ readonly file: number; readonly offset: number }> {
  let wanted = lines;
  for (let file = files.length - 1; file >= 0; file--) {
    const handle = files[file]?.handle;
    if (handle === undefined) continue;
    const found = await findLinesFromEnd(handle, wanted, file === files.length - 1 ? end : (await handle.stat()).size);
    if (found.offset !== undefined) return { file, offset: found.offset };
    wanted -= found.lines;
  }
  return { file: 0, offset: 0 };
}

/** The offset after the newline that precedes the last `wanted` lines; undefined where the file has no more than those. */
async function findLinesFromEnd(handle: FileHandle, wanted: number, size: number): Promise<{ readonly offset: number | undefined; readonly lines: number }> {
  const block = Buffer.alloc(BLOCK_BYTES);
  let newlines = 0;
  for (let end = size; end > 0; ) {
    const begin = Math.max(0, end - BLOCK_BYTES);
    const { bytesRead } = await handle.read(block, 0, end - begin, begin);
    for (let at = bytesRead - 1; at >= 0; at--) {
      if (block[at] !== 10) continue;
      if (newlines === wanted) return { offset: begin + at + 1, lines: newlines };
      newlines++;
    }
    end = begin;
  }
  return { offset: newlines === wanted && wanted > 0 ? 0 : undefined, lines: newlines };
}
