/**
 * Directories here, walked from one that the user named without ever following a link: each is opened from the one above it, so that neither a link
 * that the same archive planted, nor one that lay there before, nor one that somebody puts there meanwhile leads out.
 */

import { closeSync, constants, lstatSync, mkdirSync, openSync, type Stats } from "node:fs";
import { Failure } from "../../../sdk/src/index.ts";

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

interface Level {
  readonly name: string;
  readonly descriptor: number;
}

export class LocalTree {
  readonly directory: string;
  /** From the top to where the last one went: archives go on next to where they were. */
  private readonly chain: Level[];

  /** The directory itself is the user's word: links in its path are followed. */
  constructor(directory: string) {
    this.directory = directory;
    this.chain = [{ name: "", descriptor: openSync(directory, O_RDONLY | O_DIRECTORY) }];
  }

  /** A path by which the kernel finds exactly this directory and, behind a slash, what lies in it. Good until the next call. */
  enter(parts: readonly string[]): string {
    return `/proc/self/fd/${this.descriptorOf(parts)}`;
  }

  /** Descriptor of the directory itself; made where it is missing. Good until the next call. */
  descriptorOf(parts: readonly string[]): number {
    let same = 0;
    while (same < parts.length && this.chain[same + 1]?.name === parts[same]) same++;
    for (const { descriptor } of this.chain.splice(same + 1)) closeSync(descriptor);
    for (const name of parts.slice(same)) this.chain.push({ name, descriptor: this.step(name) });
    return this.last;
  }

  /** What lies there, links not followed. */
  look(parts: readonly string[]): Stats | undefined {
    return lstatSync(`${this.enter(parts.slice(0, -1))}/${parts.at(-1)}`, { throwIfNoEntry: false });
  }

  close(): void {
    for (const { descriptor } of this.chain.splice(0)) closeSync(descriptor);
  }

  private get last(): number {
    return this.chain.at(-1)?.descriptor ?? -1;
  }

  private step(name: string): number {
    const path = `/proc/self/fd/${this.last}/${name}`;
    const open = (): number => openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      return open();
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException;
      if (code === "ENOENT") {
        mkdirSync(path, 0o755);
        return open();
      }
      if (code !== "ELOOP" && code !== "ENOTDIR") throw thrown;
      const shown = [this.directory, ...this.chain.slice(1).map((level) => level.name), name].join("/");
      throw new Failure("INVALID_SPEC", `${JSON.stringify(shown)} is a link or a file, and the archive has files below it`, {
        remedy: "Copy to another directory, or remove what stands in the way: links are not followed, because they may lead anywhere.",
        cause: thrown,
      });
    }
  }
}
