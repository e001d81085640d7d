/**
 * A tar that comes out of a workload, unpacked here. Whoever is in the workload made it up: names that lead up or elsewhere are refused, links are made
 * and never followed, and a file appears under its name once it is whole.
 */

import { constants, fchmodSync, fchownSync, futimesSync, lchownSync, linkSync, lutimesSync, mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { Readable } from "node:stream";
import { extract, type Header } from "tar-stream";
import { Failure } from "../../../sdk/src/index.ts";
import { unusableFile } from "../given-file.ts";
import type { Landing } from "./copy-rules.ts";
import { LocalTree } from "./local-tree.ts";

const PART = `.bulkhead-part-${process.pid}`;

export interface UnpackOptions {
  /** The first part of every name in the archive: `.` for a directory's inside, `/` for the root. */
  readonly base: string;
  readonly landing: Landing;
  /** Owners, set-user-id and set-group-id bits as the archive has them. Without it everything is the caller's, and no program runs as somebody else. */
  readonly archiveMode: boolean;
  readonly leftOut: (path: string, why: string) => void;
}

export async function unpackLocal(archive: AsyncIterable<Uint8Array>, options: UnpackOptions): Promise<void> {
  const unpacking = new Unpacking(options);
  const entries = extract();
  const input = Readable.from(archive);
  input.on("error", (thrown) => entries.destroy(thrown));
  input.pipe(entries);
  try {
    for await (const entry of entries) {
      await unpacking.take(entry.header, entry as AsyncIterable<Uint8Array>).catch((thrown: unknown) => {
        throw isSystemError(thrown) ? unusableFile("write", `${options.landing.directory}: ${entry.header.name}`, thrown) : thrown;
      });
      entry.resume();
    }
  } catch (thrown) {
    if (thrown instanceof Failure || isSystemError(thrown)) throw thrown;
    throw new Failure("CORRUPT_DATA", `the archive cannot be read: ${(thrown as Error).message}`, { cause: thrown });
  } finally {
    input.destroy();
    unpacking.finish();
  }
}

const isSystemError = (thrown: unknown): boolean => (thrown as NodeJS.ErrnoException).syscall !== undefined;

interface Directory {
  readonly parts: readonly string[];
  readonly header: Header;
}

class Unpacking {
  private readonly options: UnpackOptions;
  private readonly tree: LocalTree;
  /** Get their permissions and times last: a directory may forbid what has yet to be put into it. */
  private readonly directories: Directory[] = [];

  constructor(options: UnpackOptions) {
    this.options = options;
    this.tree = new LocalTree(options.landing.directory);
  }

  async take(header: Header, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const parts = this.partsOf(header.name);
    // The inside of a directory that is there goes into it, and leaves it as it is.
    if (parts.length === 0) return;
    const there = this.tree.look(parts);
    const isDirectory = header.type === "directory";
    if (there !== undefined && there.isDirectory() !== isDirectory) throw this.inTheWay(parts, isDirectory);
    const at = `${this.tree.enter(parts.slice(0, -1))}/${parts.at(-1)}`;
    if (isDirectory) {
      if (there === undefined) mkdirSync(at, 0o700);
      this.directories.push({ parts, header });
    } else if (header.type === "file" || header.type === "contiguous-file") await this.writeFile(at, header, bytes);
    else if (header.type === "symlink") this.makeLink(at, header);
    else if (header.type === "link") this.linkAgain(parts, header);
    else this.options.leftOut(header.name, `a ${header.type ?? "file of no known kind"}`);
  }

  finish(): void {
    try {
      for (const { parts, header } of this.directories.reverse()) this.settle(this.tree.descriptorOf(parts), header);
    } finally {
      this.tree.close();
    }
  }

  /** Below the landing's directory. Rejects every name that is not what was asked for. */
  private partsOf(name: string): readonly string[] {
    const { base, landing } = this.options;
    const [first, ...rest] = name.split("/");
    const parts = rest.filter((part) => part !== "" && part !== ".");
    // Of the root, and of a directory's inside, names begin with a slash or a dot.
    const isBelow = base === "/" || base === "." ? first === "" || first === "." : first === base;
    if (!isBelow || parts.includes("..") || name.includes("\0"))
      throw new Failure("CORRUPT_DATA", `the archive has a file ${JSON.stringify(name)}, which is not below what was asked for`, {
        remedy: "Whoever is in the workload may be trying to write outside: nothing of this file was written.",
      });
    return landing.name === undefined ? parts : [landing.name, ...parts];
  }

  private async writeFile(at: string, header: Header, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const part = `${at.slice(0, at.length - basename(at).length)}${PART}`;
    rmSync(part, { force: true });
    const file = await open(part, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
    try {
      for await (const piece of bytes) await file.writeFile(piece);
      this.settle(file.fd, header);
      renameSync(part, at);
    } catch (thrown) {
      rmSync(part, { force: true });
      throw thrown;
    } finally {
      await file.close();
    }
  }

  /** Wherever it leads: it is a text until somebody follows it, and nothing here does. */
  private makeLink(at: string, { linkname, uid, gid, mtime }: Header): void {
    rmSync(at, { force: true });
    symlinkSync(linkname ?? "", at);
    if (this.options.archiveMode) lchownSync(at, uid ?? 0, gid ?? 0);
    lutimesSync(at, mtime ?? new Date(), mtime ?? new Date());
  }

  private linkAgain(parts: readonly string[], { linkname }: Header): void {
    const to = this.partsOf(linkname ?? "");
    const found = to.length === 0 ? undefined : this.tree.look(to);
    if (found === undefined || found.isDirectory())
      throw new Failure("CORRUPT_DATA", `the archive has a second name for ${JSON.stringify(linkname)}, which it does not have itself`);
    // Two directories at once, of which the tree holds one open.
    const other = new LocalTree(this.options.landing.directory);
    try {
      const at = `${this.tree.enter(parts.slice(0, -1))}/${parts.at(-1)}`;
      if (parts.join("/") === to.join("/")) return;
      rmSync(at, { force: true });
      linkSync(`${other.enter(to.slice(0, -1))}/${to.at(-1)}`, at);
    } finally {
      other.close();
    }
  }

  private settle(descriptor: number, { mode, uid, gid, mtime }: Header): void {
    const { archiveMode } = this.options;
    if (archiveMode) fchownSync(descriptor, uid ?? 0, gid ?? 0);
    fchmodSync(descriptor, mode & (archiveMode ? 0o7777 : 0o1777));
    futimesSync(descriptor, mtime ?? new Date(), mtime ?? new Date());
  }

  private inTheWay(parts: readonly string[], isDirectory: boolean): Failure {
    const [there, comes] = isDirectory ? ["non-directory", "directory"] : ["directory", "non-directory"];
    return new Failure("INVALID_SPEC", `cannot overwrite ${there} ${JSON.stringify([this.tree.directory, ...parts].join("/"))} with ${comes}`, {
      remedy: "Copy to another directory, or remove what stands in the way.",
    });
  }
}
