/**
 * Reads a workload's log while it is written and rotated: every line once, in order. Following costs nothing while nothing
 * is written: the kernel pokes. It ends when the workload has ended, which is told only after its last byte was logged.
 */

import { watch, type FSWatcher } from "node:fs";
import { dirname } from "node:path";
import { findTail, openLogFiles, openSuccessor, type LogFile } from "./log-files.ts";
import { judgeEntry, parseLogLine } from "./log-lines.ts";
import type { LogEntry, LogQuery } from "./index.ts";
import type { Workload } from "./workload.ts";

const BLOCK_BYTES = 64 * 1024;

export interface LogSource {
  readonly path: string;
  readonly maxFiles: number;
}

/** In batches of what one read of the file gave: a step of its own for each line costs ten times the reading of it. */
export async function* readLog(source: LogSource, query: LogQuery, workload: Workload, signal: AbortSignal): AsyncGenerator<readonly LogEntry[]> {
  const pokes = query.follow ? new Pokes(source.path, workload, signal) : undefined;
  try {
    for await (const lines of readLines(source, query, workload, { signal, pokes })) {
      const { wanted, over } = choose(lines, query);
      if (wanted.length > 0) yield wanted;
      if (over) return;
    }
  } finally {
    pokes?.close();
  }
}

function choose(lines: readonly Buffer[], query: LogQuery): { readonly wanted: readonly LogEntry[]; readonly over: boolean } {
  const wanted: LogEntry[] = [];
  for (const line of lines) {
    const entry = parseLogLine(line);
    if (entry === undefined) continue;
    const verdict = judgeEntry(entry, query);
    if (verdict === "over") return { wanted, over: true };
    if (verdict === "wanted") wanted.push(entry);
  }
  return { wanted, over: false };
}

async function* readLines(
  source: LogSource,
  query: LogQuery,
  workload: Workload,
  { signal, pokes }: { readonly signal: AbortSignal; readonly pokes: Pokes | undefined },
): AsyncGenerator<readonly Buffer[]> {
  const files = await openLogFiles(source.path, source.maxFiles);
  try {
    // What is written from here on belongs to who follows: else a workload that writes faster than is read would never end.
    const end = (await files.at(-1)?.handle.stat())?.size ?? 0;
    const from = query.tail === undefined ? { file: 0, offset: 0 } : await findTail(files, query.tail, end);
    if (pokes === undefined) {
      for (const [index, file] of files.entries()) {
        if (index < from.file) continue;
        yield* new Cursor(file, index === from.file ? from.offset : 0, file === files.at(-1) ? end : undefined).lines(signal);
      }
      return;
    }
    for (const skipped of files.splice(0, from.file)) await skipped.handle.close();
    let cursor: Cursor | undefined;
    let offset = from.offset;
    while (!signal.aborted) {
      const live = workload.isLive;
      pokes.take();
      cursor ??= await firstCursor(files, source, offset);
      if (cursor !== undefined) yield* cursor.lines(signal);
      const next = cursor === undefined ? undefined : await nextFile(cursor, files, source);
      if (next !== undefined && cursor !== undefined) {
        // What was written between the last look and the rotation.
        yield* cursor.lines(signal);
        await cursor.file.handle.close();
        cursor = new Cursor(next, 0);
        offset = 0;
      } else if (!live) return;
      else await pokes.wait();
    }
  } finally {
    await Promise.all(files.map(({ handle }) => handle.close().catch(() => {})));
  }
}

async function firstCursor(files: LogFile[], source: LogSource, offset: number): Promise<Cursor | undefined> {
  if (files.length === 0) files.push(...(await openLogFiles(source.path, source.maxFiles)));
  const [first] = files;
  return first === undefined ? undefined : new Cursor(first, offset);
}

/** The next of the files found at the beginning, then whatever a rotation has begun since. `files` holds all that must be closed. */
async function nextFile(cursor: Cursor, files: LogFile[], source: LogSource): Promise<LogFile | undefined> {
  const known = files[files.indexOf(cursor.file) + 1];
  if (known !== undefined) return known;
  const opened = await openSuccessor(source.path, source.maxFiles, cursor.file.inode);
  if (opened !== undefined) files.push(opened);
  return opened;
}

class Cursor {
  readonly file: LogFile;
  private offset: number;
  private readonly end: number;
  private rest: Buffer = Buffer.alloc(0);

  constructor(file: LogFile, offset: number, end = Number.POSITIVE_INFINITY) {
    this.file = file;
    this.offset = offset;
    this.end = end;
  }

  /** Whole lines up to what the file holds now; the beginning of a line is kept for the next time. */
  async *lines(signal: AbortSignal): AsyncGenerator<readonly Buffer[]> {
    const { handle } = this.file;
    // Cut to nothing and written anew: a log of one file is rotated that way.
    if ((await handle.stat()).size < this.offset) {
      this.offset = 0;
      this.rest = Buffer.alloc(0);
    }
    const block = Buffer.alloc(BLOCK_BYTES);
    while (!signal.aborted) {
      const wanted = Math.min(BLOCK_BYTES, this.end - this.offset);
      const { bytesRead } = wanted > 0 ? await handle.read(block, 0, wanted, this.offset) : { bytesRead: 0 };
      if (bytesRead === 0) return;
      this.offset += bytesRead;
      const text = Buffer.concat([this.rest, block.subarray(0, bytesRead)]);
      const lines: Buffer[] = [];
      let begin = 0;
      for (let newline = text.indexOf(10); newline >= 0; newline = text.indexOf(10, begin)) {
        lines.push(text.subarray(begin, newline));
        begin = newline + 1;
      }
      this.rest = text.subarray(begin);
      yield lines;
    }
  }
}

/** Wakes the reader: the directory changed, the workload changed, or nobody reads any more. */
class Pokes {
  private poked = true;
  private wake = () => {};
  private watcher: FSWatcher | undefined;
  private readonly workload: Workload;
  private readonly signal: AbortSignal;
  private readonly poke = () => {
    this.poked = true;
    this.wake();
  };

  constructor(path: string, workload: Workload, signal: AbortSignal) {
    this.workload = workload;
    this.signal = signal;
    workload.watchers.add(this.poke);
    signal.addEventListener("abort", this.poke);
    try {
      this.watcher = watch(dirname(path), { persistent: false }, this.poke);
      this.watcher.on("error", this.poke);
    } catch {
      // No directory: it has never run, and then there is nothing to follow.
    }
  }

  take(): void {
    this.poked = false;
  }

  async wait(): Promise<void> {
    if (this.poked || this.signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
    });
  }

  close(): void {
    this.watcher?.close();
    this.workload.watchers.delete(this.poke);
    this.signal.removeEventListener("abort", this.poke);
  }
}
