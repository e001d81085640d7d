/** Files here, on their way in: a tar of a path and all below it. */

import { type BigIntStats, createReadStream } from "node:fs";
import { lstat, readdir, readlink, realpath } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Header, type Pack, pack } from "tar-stream";
import { unusableFile } from "../given-file.ts";
import { meansInside, type Source, splitEntry } from "./copy-rules.ts";

const PIECE_BYTES = 1024 * 1024;
/** The largest number that the format's own field holds. */
const MOST_ID = 0o7777777;

type Entry = Partial<Header> & Pick<Header, "name">;

export interface LocalSource extends Source {
  readonly path: string;
}

/** Links are followed on the way, before a slash, and in the last part where asked. The name stays the one that was given. */
export async function findLocalSource(asked: string, followLink: boolean): Promise<LocalSource> {
  try {
    const inside = meansInside(asked);
    const given = splitEntry(resolve(asked));
    const base = inside || given.base === "/" ? "." : given.base;
    const follows = followLink || inside || asked.endsWith("/");
    const path = follows ? await realpath(asked) : join(await realpath(given.directory), given.base);
    const isDirectory = (await lstat(path)).isDirectory();
    if (asked.endsWith("/") && !isDirectory) throw Object.assign(new Error("it is not a directory"), { code: "ENOTDIR" });
    return { path, base, isDirectory };
  } catch (thrown) {
    throw unusableFile("read", asked, thrown);
  }
}

/** `name` stands for the source in the archive. What no archive can carry is told and left out. */
export async function* packLocal(source: LocalSource, name: string, leftOut: (path: string, why: string) => void): AsyncGenerator<Uint8Array> {
  const archive = pack();
  const packing = new Packing(archive, leftOut);
  const feeding = packing.add(source.path, name).then(
    () => archive.finalize(),
    (thrown: unknown) => archive.destroy(thrown as Error),
  );
  try {
    for await (const piece of archive) yield piece as Uint8Array;
  } finally {
    archive.destroy();
    await feeding;
  }
}

class Packing {
  private readonly archive: Pack;
  private readonly leftOut: (path: string, why: string) => void;
  /** First names of files that have several. */
  private readonly first = new Map<string, string>();

  constructor(archive: Pack, leftOut: (path: string, why: string) => void) {
    this.archive = archive;
    this.leftOut = leftOut;
  }

  async add(path: string, name: string): Promise<void> {
    const status = await lstat(path, { bigint: true }).catch((thrown: unknown) => {
      throw unusableFile("read", path, thrown);
    });
    const header = headerOf(status, name);
    if (status.isSymbolicLink()) return this.entry({ ...header, type: "symlink", linkname: await readlink(path) });
    if (status.isFile()) return this.addFile(path, header, status);
    if (status.isFIFO()) return this.entry({ ...header, type: "fifo" });
    if (status.isBlockDevice() || status.isCharacterDevice())
      return this.entry({ ...header, ...deviceNumbers(status.rdev), type: status.isBlockDevice() ? "block-device" : "character-device" });
    if (!status.isDirectory()) return this.leftOut(path, "a socket");
    await this.entry({ ...header, name: `${name}/`, type: "directory" });
    const children = await readdir(path).catch((thrown: unknown) => {
      throw unusableFile("read", path, thrown);
    });
    for (const child of children.sort()) await this.add(join(path, child), `${name}/${child}`);
  }

  private async addFile(path: string, header: Entry, { size, nlink, dev, ino }: BigIntStats): Promise<void> {
    const other = this.first.get(`${dev}:${ino}`);
    if (other !== undefined) return this.entry({ ...header, type: "link", linkname: other });
    if (nlink > 1n) this.first.set(`${dev}:${ino}`, header.name);
    if (size === 0n) return this.entry({ ...header, type: "file" }, Buffer.alloc(0));
    const into = this.archive.entry({ ...header, type: "file", size: Number(size) });
    try {
      // No further than it was when its size was told: one that grows is cut, one that shrank is refused by the archive.
      await pipeline(createReadStream(path, { end: Number(size) - 1, highWaterMark: PIECE_BYTES }), into);
    } catch (thrown) {
      throw unusableFile("read", path, thrown);
    }
  }

  private entry(header: Entry, bytes?: Buffer): Promise<void> {
    return new Promise((done, failed) => {
      const written = (error?: Error | null): void => (error ? failed(error) : done());
      if (bytes === undefined) this.archive.entry(header, written);
      else this.archive.entry(header, bytes, written);
    });
  }
}

function headerOf(status: BigIntStats, name: string): Entry {
  const [uid, gid] = [Number(status.uid), Number(status.gid)];
  const large = { ...(uid > MOST_ID ? { uid: String(uid) } : {}), ...(gid > MOST_ID ? { gid: String(gid) } : {}) };
  return {
    name,
    mode: Number(status.mode) & 0o7777,
    mtime: new Date(Number(status.mtimeMs)),
    uid: uid > MOST_ID ? 0 : uid,
    gid: gid > MOST_ID ? 0 : gid,
    ...(Object.keys(large).length === 0 ? {} : { pax: large }),
  };
}

/** As Linux packs both into one. */
function deviceNumbers(device: bigint): { readonly devmajor: number; readonly devminor: number } {
  return {
    devmajor: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
    devminor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  };
}

/** Bytes of the files in it, as far as they can be seen: for the summary. What has gone since it was copied is no fault of the copy's. */
export async function measureLocal({ path }: Pick<LocalSource, "path">): Promise<number> {
  const look = (at: string) => lstat(at).catch(() => undefined);
  const status = await look(path);
  if (status?.isDirectory() !== true) return status?.isFile() === true ? status.size : 0;
  let sum = 0;
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true }).catch(() => []))
    if (entry.isFile()) sum += (await look(join(entry.parentPath, basename(entry.name))))?.size ?? 0;
  return sum;
}
