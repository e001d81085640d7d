/** Archives for the cases about files: written a piece at a time, and read without keeping what is large. */

import { Readable } from "node:stream";
import { extract, type Header, pack } from "tar-stream";

const PIECE_BYTES = 64 * 1024;
const MOST_TEXT_BYTES = 1024 * 1024;
/** Large files are full of it. */
const FILLING = 0x5a;

export interface ArchiveEntry {
  readonly name: string;
  /** `file` where it is not said. */
  readonly type?: "file" | "directory" | "symlink" | "link";
  /** A text, or so many bytes of filling. */
  readonly bytes?: string | number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly linkname?: string;
  /** In seconds. */
  readonly modified?: number;
}

export interface FoundEntry extends ArchiveEntry {
  readonly sizeBytes: number;
  /** Of files up to a megabyte. */
  readonly text: string;
  /** Whether it holds filling and nothing else. */
  readonly filling: boolean;
}

/** `half` is called before the second half of a large file is given out. */
export async function* archiveOf(entries: readonly ArchiveEntry[], half?: () => void): AsyncGenerator<Uint8Array> {
  const archive = pack();
  const fed = feed(archive, entries, half);
  for await (const piece of archive) yield piece as Uint8Array;
  await fed;
}

async function feed(archive: ReturnType<typeof pack>, entries: readonly ArchiveEntry[], half?: () => void): Promise<void> {
  const closed = once(archive, "close");
  for (const { name, type = "file", bytes = "", modified = 1_600_000_000, ...rest } of entries) {
    const size = type === "file" ? (typeof bytes === "number" ? bytes : Buffer.byteLength(bytes)) : 0;
    const header: Partial<Header> & { name: string } = {
      name,
      type,
      size,
      mode: type === "directory" ? 0o755 : 0o644,
      mtime: new Date(modified * 1000),
      ...rest,
    };
    const entry = archive.entry(header);
    if (entry === undefined) return;
    for (let at = 0; at < size; at += PIECE_BYTES) {
      if (at >= size / 2) half?.();
      const piece = typeof bytes === "number" ? Buffer.alloc(Math.min(PIECE_BYTES, size - at), FILLING) : Buffer.from(bytes).subarray(at, at + PIECE_BYTES);
      if (!entry.write(piece)) await Promise.race([once(entry, "drain"), closed]);
      if (archive.destroyed) return;
    }
    entry.end(undefined);
  }
  archive.finalize();
}

const once = (emitter: NodeJS.EventEmitter, event: string) => new Promise<void>((resolve) => void emitter.once(event, () => resolve()));

/** What an archive holds, by name without a slash at its end. Rejects where it is damaged or cut. */
export async function contentsOf(archive: AsyncIterable<Uint8Array>): Promise<Record<string, FoundEntry>> {
  const found: Record<string, FoundEntry> = {};
  const entries = extract();
  const input = Readable.from(archive, { objectMode: false });
  input.on("error", (error) => entries.destroy(error));
  input.pipe(entries);
  for await (const entry of entries) {
    const { name, type, mode, uid, gid, linkname, mtime } = entry.header;
    const kept: Buffer[] = [];
    let sizeBytes = 0;
    let filling = true;
    for await (const piece of entry as AsyncIterable<Buffer>) {
      sizeBytes += piece.length;
      filling &&= piece.every((byte) => byte === FILLING);
      if (sizeBytes <= MOST_TEXT_BYTES) kept.push(piece);
    }
    found[name.length > 1 ? name.replace(/\/$/, "") : name] = {
      name,
      type: type as NonNullable<ArchiveEntry["type"]>,
      mode: mode ?? 0,
      uid: uid ?? 0,
      gid: gid ?? 0,
      modified: Math.floor((mtime?.getTime() ?? 0) / 1000),
      linkname: linkname ?? "",
      sizeBytes,
      text: Buffer.concat(kept).toString(),
      filling,
    };
  }
  return found;
}
