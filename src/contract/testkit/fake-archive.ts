/** The fake's files facet: what a real boundary carries out inside, on the fake's own tree. */

import { basename, dirname, join } from "node:path/posix";
import { Readable } from "node:stream";
import { extract, pack, type Header } from "tar-stream";
import type { Call } from "../call.ts";
import { Failure, quote } from "../failure.ts";
import type { FileStat, FilesFacet, WriteFilesOptions } from "../sandbox.ts";
import type { FakeFiles, FakeNode } from "./fake-files.ts";
import type { Step } from "./fake-sandbox.ts";

const TYPE_BITS: Readonly<Record<FakeNode["kind"], number>> = { file: 0o100000, directory: 0o040000, symlink: 0o120000 };
const MOST_LINKS = 40;
const PIECE_BYTES = 64 * 1024;

type Entry = Partial<Header> & Pick<Header, "name">;

export function filesFacet({ files, isOver }: { readonly files: FakeFiles; readonly isOver: () => boolean }, step: Step): FilesFacet {
  const inside: Step = (name, call, effect) =>
    step(name, call, () => {
      if (isOver()) throw new Failure("WRONG_STATE", "the sandbox has ended");
      return effect();
    });
  return {
    stat: (path, call) => inside("files-stat", call, () => statOf(files, path)),
    read: (path, call) =>
      inside("files-read", call, () => {
        const stat = statOf(files, path);
        const name = stat.name === "/" ? "" : specifiesItself(path) ? "." : stat.name;
        return { stat, archive: piecesOf(new Packing(files).all(resolve(files, path, endsInSlash(path)), name), call) };
      }),
    write: (directory, archive, options, call) =>
      inside("files-write", call, async () => {
        const into = resolve(files, directory, true);
        const node = files.node(into);
        if (node === undefined) throw missing(directory);
        if (node.kind !== "directory") throw new Failure("INVALID_SPEC", `${quote(directory)} is not a directory`);
        await unpack({ files, into, options }, Readable.from(archive, { signal: call.signal }));
      }),
  };
}

const specifiesItself = (path: string): boolean => path.endsWith("/.");
const endsInSlash = (path: string): boolean => specifiesItself(path) || path.endsWith("/");

function statOf(files: FakeFiles, path: string): FileStat {
  const found = resolve(files, path, endsInSlash(path));
  const node = files.node(found);
  if (node === undefined) throw missing(path);
  return {
    name: found === "/" ? "/" : basename(specifiesItself(path) ? dirname(path) : path),
    sizeBytes: node.kind === "file" ? node.bytes.length : node.kind === "symlink" ? node.target.length : 4096,
    mode: TYPE_BITS[node.kind] | node.mode,
    modifiedAt: node.modifiedAt.toISOString().replace("Z", "000000Z"),
    linkTarget: node.kind === "symlink" ? node.target : "",
  };
}

/** The path without links in it, the last part followed only where asked. Rejects NOT_FOUND where a directory on the way is none. */
function resolve(files: FakeFiles, path: string, followLast: boolean): string {
  let at = "/";
  let links = 0;
  const parts = path.split("/").reverse();
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      at = dirname(at);
      continue;
    }
    const last = parts.every((rest) => rest === "" || rest === ".");
    const next = join(at, part);
    const node = files.node(next);
    if (node?.kind === "symlink" && (!last || followLast)) {
      if (++links > MOST_LINKS) throw new Failure("INVALID_SPEC", `too many links in ${quote(path)}`);
      if (node.target.startsWith("/")) at = "/";
      parts.push(...node.target.split("/").reverse());
      continue;
    }
    if (!last && node?.kind !== "directory") throw missing(path);
    at = next;
  }
  return at;
}

async function* piecesOf(whole: Promise<Buffer>, { signal }: Call): AsyncGenerator<Uint8Array> {
  const bytes = await whole;
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    if (signal.aborted) throw new Failure("CANCELLED", "reading files was cancelled");
    yield bytes.subarray(at, at + PIECE_BYTES);
  }
}

class Packing {
  private readonly files: FakeFiles;
  private readonly archive = pack();
  /** Two names of one file are one node. */
  private readonly seen = new Map<FakeNode, string>();

  constructor(files: FakeFiles) {
    this.files = files;
  }

  async all(path: string, name: string): Promise<Buffer> {
    const whole = readAll(this.archive);
    await this.add(path, name);
    this.archive.finalize();
    return whole;
  }

  /** With all below it. */
  private async add(path: string, name: string): Promise<void> {
    const node = this.files.node(path);
    if (node === undefined) return;
    const { mode, uid, gid, modifiedAt: mtime } = node;
    const header: Entry = { name: node.kind === "directory" ? `${name}/` : name, mode, uid, gid, mtime, type: node.kind };
    const other = node.kind === "file" ? this.seen.get(node) : undefined;
    if (other !== undefined) await this.entry({ ...header, type: "link", linkname: other });
    else if (node.kind === "symlink") await this.entry({ ...header, linkname: node.target });
    else await this.entry(header, node.kind === "file" ? node.bytes : undefined);
    if (node.kind === "file") this.seen.set(node, name);
    if (node.kind === "directory") for (const child of this.files.names(path)) await this.add(join(path, child), `${name}/${child}`);
  }

  private entry(header: Entry, bytes?: Buffer): Promise<void> {
    return new Promise((done, failed) => {
      const written = (error?: Error | null) => (error ? failed(error) : done());
      if (bytes === undefined) this.archive.entry(header, written);
      else this.archive.entry({ ...header, size: bytes.length }, bytes, written);
    });
  }
}

async function readAll(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece as Uint8Array);
  return Buffer.concat(pieces);
}

interface Target {
  readonly files: FakeFiles;
  readonly into: string;
  readonly options: WriteFilesOptions;
}

async function unpack(target: Target, archive: Readable): Promise<void> {
  const entries = extract();
  archive.on("error", (thrown) => entries.destroy(thrown));
  archive.pipe(entries);
  try {
    for await (const entry of entries) {
      writeEntry(target, entry.header, await readAll(entry));
    }
  } catch (thrown) {
    if (thrown instanceof Error && thrown.name === "AbortError") throw new Failure("CANCELLED", "writing files was cancelled");
    throw thrown instanceof Failure ? thrown : new Failure("CORRUPT_DATA", `the archive cannot be read: ${(thrown as Error).message}`, { cause: thrown });
  }
}

/** As below a chroot: `..` ends at the root, links lead nowhere else. */
function writeEntry(target: Target, header: Header, bytes: Buffer): void {
  const { files, into, options } = target;
  const clean = join("/", header.name).replace(/(.)\/$/, "$1");
  const above = resolve(files, join(into, dirname(clean)), true);
  const path = clean === "/" ? into : join(above, basename(clean));
  const node = nodeOf(target, header, bytes);
  if (node === undefined) return;
  const there = files.node(path);
  if (there !== undefined && (there.kind === "directory") !== (node.kind === "directory")) {
    if (options.keepKinds && there.kind !== "symlink")
      throw new Failure(
        "INVALID_SPEC",
        `cannot overwrite ${there.kind === "directory" ? "directory with non-directory" : "non-directory with directory"}: ${path}`,
      );
    files.remove(path);
  }
  if (!files.put(path, node)) throw new Failure("INVALID_SPEC", `${quote(path)}: read-only file system, or full`);
}

function nodeOf({ files, into, options }: Target, header: Header, bytes: Buffer): FakeNode | undefined {
  const owners = options.keepOwners ? { uid: header.uid ?? 0, gid: header.gid ?? 0 } : { uid: 0, gid: 0 };
  const owned = { ...owners, mode: (header.mode ?? 0o644) & 0o7777, modifiedAt: header.mtime ?? new Date(0) };
  if (header.type === "directory") return { ...owned, kind: "directory" };
  if (header.type === "symlink") return { ...owned, kind: "symlink", target: header.linkname ?? "" };
  if (header.type === "link") return files.node(resolve(files, join(into, header.linkname ?? ""), false));
  return header.type === "file" || header.type === "contiguous-file" ? { ...owned, kind: "file", bytes } : undefined;
}

function missing(path: string): Failure {
  return new Failure("NOT_FOUND", `there is nothing at ${quote(path)}`);
}
