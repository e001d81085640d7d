/**
 * What an image's files say of its needs, and its configuration does not: read from the unpacked layers, once for each image. Nothing is opened
 * and no link is followed. A file that a higher layer replaces or takes away is not there; what lies below a directory that a higher layer
 * made anew (an opaque one) is told all the same, because only the launcher may read that mark.
 */

import type { Dirent } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Coalesced } from "./coalesced.ts";

/** Paths as the image has them, from `/`, in the order of the alphabet. */
export interface ImageContents {
  /** Programs that run as their owner, whoever starts them. */
  readonly setUserIdFiles: readonly string[];
  /** Init systems of whole operating systems. */
  readonly initSystems: readonly string[];
  readonly kernelModules: readonly string[];
  /** False where the image has more than was looked at. */
  readonly complete: boolean;
}

export interface ContentsLimits {
  /** Names looked at, over all layers. */
  readonly maxEntries: number;
  /** Of each kind that are told. */
  readonly maxPaths: number;
}

const LIMITS: ContentsLimits = { maxEntries: 300_000, maxPaths: 500 };
/** Images whose contents are remembered. */
const REMEMBERED = 200;
const SET_USER_ID = 0o4000;
const INIT_SYSTEM = /^\/(?:usr\/)?(?:lib\/systemd\/systemd|s?bin\/(?:openrc|runit|upstart))$/;
const KERNEL_MODULE = /^\/(?:usr\/)?lib\/modules\/.+\.ko(?:\.(?:gz|xz|zst))?$/;
/** Directories that are read side by side. */
const ABREAST = 16;

export class Contents {
  readonly #known = new Map<string, ImageContents>();
  readonly #reading = new Coalesced<ImageContents>();

  /** `trees` are the image's unpacked layers, uppermost first. */
  async of(imageId: string, trees: readonly string[]): Promise<ImageContents> {
    return this.#known.get(imageId) ?? (await this.#reading.run(imageId, async () => this.#remember(imageId, await readContents(trees))));
  }

  forget(imageId: string): void {
    this.#known.delete(imageId);
  }

  #remember(imageId: string, contents: ImageContents): ImageContents {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= REMEMBERED && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(imageId, contents);
    return contents;
  }
}

export async function readContents(trees: readonly string[], limits = LIMITS): Promise<ImageContents> {
  const found = { setUserIdFiles: new Set<string>(), initSystems: new Set<string>(), kernelModules: new Set<string>() };
  let left = limits.maxEntries;
  for (const [index, tree] of trees.entries()) {
    const above = trees.slice(0, index);
    const told = async (path: string, into: Set<string>): Promise<void> => {
      if (into.size < limits.maxPaths && !(await isHidden(above, path))) into.add(path);
    };
    left -= await walk(tree, left, async (path) => {
      if (INIT_SYSTEM.test(path)) await told(path, found.initSystems);
      if (KERNEL_MODULE.test(path)) await told(path, found.kernelModules);
      const status = await lstat(join(tree, path));
      if (status.isFile() && (status.mode & SET_USER_ID) !== 0) await told(path, found.setUserIdFiles);
    });
  }
  const complete = left > 0 && Object.values(found).every((paths) => paths.size < limits.maxPaths);
  const sorted = (paths: ReadonlySet<string>): string[] => [...paths].toSorted();
  return {
    setUserIdFiles: sorted(found.setUserIdFiles),
    initSystems: sorted(found.initSystems),
    kernelModules: sorted(found.kernelModules),
    complete,
  };
}

/** Calls for each regular file, by its path from `/`. Gives how many names it met; ends at `most`. */
async function walk(tree: string, most: number, onFile: (path: string) => Promise<void>): Promise<number> {
  let met = 0;
  const due = ["/"];
  while (due.length > 0 && met < most) {
    const directories = due.splice(0, ABREAST);
    const listed = await Promise.all(
      directories.map(async (directory) => ({ directory, entries: await readdir(join(tree, directory), { withFileTypes: true }) })),
    );
    for (const { directory, entries } of listed) {
      met += entries.length;
      const pathOf = ({ name }: Dirent): string => join(directory, name);
      due.push(...entries.filter((entry) => entry.isDirectory()).map(pathOf));
      await Promise.all(entries.filter((entry) => entry.isFile()).map((entry) => onFile(pathOf(entry))));
    }
  }
  return met;
}

/** Whether a higher layer has something else at this path, or no directory on the way to it: a whiteout is neither. */
async function isHidden(above: readonly string[], path: string): Promise<boolean> {
  const steps = path.slice(1).split("/");
  for (const tree of above) {
    for (let depth = 1; depth <= steps.length; depth++) {
      const status = await lstat(join(tree, ...steps.slice(0, depth))).catch(() => undefined);
      if (status === undefined) break;
      if (depth === steps.length || !status.isDirectory()) return true;
    }
  }
  return false;
}
