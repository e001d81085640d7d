/**
 * Reads one small file as overlayfs would show it, from layer directories whose contents are foreign: links are resolved
 * inside the layers only, and nothing is opened that is not a regular file. Opaque directories are not honoured (that
 * needs extended attributes): a file that an upper layer hid in that way may still be seen.
 */

import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from "node:fs";

const MAX_LINKS = 16;
/** O_PATH, which Node does not name: holds a file without opening it, for opening a device node does things. */
const HOLD = 0o10000000 | constants.O_NOFOLLOW;

export interface LayeredFile {
  readonly text: string;
  /** Index of the layer that it came from. */
  readonly layer: number;
}

/** The file's text, or undefined where there is none, it is no regular file, or it is longer than `maxBytes`. Layers uppermost first. */
export function findLayeredFile(layers: readonly string[], path: string, maxBytes: number): LayeredFile | undefined {
  return find(layers, path, ({ at, size }, layer) => (size > maxBytes ? undefined : { text: readHeld(at, maxBytes), layer }));
}

/** Where the file lies on the host, by a path without links; undefined where there is none or it is no regular file. Layers uppermost first. */
export function findLayeredPath(layers: readonly string[], path: string): string | undefined {
  return find(layers, path, ({ parts }, layer) => [layers[layer], ...parts].join("/"));
}

/** A regular file that is held open: what was looked at is what is read. */
interface Held {
  readonly at: string;
  readonly size: number;
  readonly parts: readonly string[];
}

function find<T>(layers: readonly string[], path: string, take: (held: Held, layer: number) => T | undefined): T | undefined {
  let wanted = path;
  for (let links = 0; links <= MAX_LINKS; links++) {
    const parts = normalize(wanted);
    const found = lookUp(layers, parts, take);
    if (found === undefined || "taken" in found) return found?.taken;
    // A link at `depth`: its target replaces that part, relative to the directory it lies in, never leaving the root.
    const before = found.target.startsWith("/") ? [] : parts.slice(0, found.depth);
    wanted = [...before, found.target, ...parts.slice(found.depth + 1)].join("/");
  }
  return undefined;
}

function normalize(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts;
}

type Found<T> = { readonly taken: T | undefined } | { readonly target: string; readonly depth: number };

function lookUp<T>(layers: readonly string[], parts: readonly string[], take: (held: Held, layer: number) => T | undefined): Found<T> | undefined {
  for (const [index, layer] of layers.entries()) {
    const found = lookInLayer(layer, parts, (held) => take(held, index));
    if (found === "hidden") return undefined;
    if (found !== "absent") return found;
  }
  return undefined;
}

/** Walks by descriptors (`/proc/self/fd`), so that a workload that swaps directories for links meanwhile gains nothing. */
function lookInLayer<T>(layer: string, parts: readonly string[], take: (held: Held) => T | undefined): "absent" | "hidden" | Found<T> {
  const held: number[] = [];
  try {
    let at = layer;
    for (const [depth, part] of parts.entries()) {
      const name = `${at}/${part}`;
      let descriptor: number;
      try {
        descriptor = openSync(name, HOLD);
      } catch (thrown) {
        return (thrown as NodeJS.ErrnoException).code === "ENOENT" ? "absent" : "hidden";
      }
      held.push(descriptor);
      at = `/proc/self/fd/${descriptor}`;
      const status = fstatSync(descriptor);
      if (status.isSymbolicLink()) return { target: readlinkSync(name), depth };
      if (depth < parts.length - 1) {
        if (!status.isDirectory()) return "hidden"; // a whiteout (device 0/0), or a file in a directory's place
      } else if (status.isFile()) return { taken: take({ at, size: status.size, parts }) };
    }
    return "hidden";
  } finally {
    for (const descriptor of held) closeSync(descriptor);
  }
}

/** Reads through a held descriptor: what was looked at is what is read. */
function readHeld(path: string, maxBytes: number): string {
  const descriptor = openSync(path, constants.O_RDONLY);
  try {
    const buffer = Buffer.allocUnsafe(Math.min(fstatSync(descriptor).size, maxBytes));
    let length = 0;
    while (length < buffer.length) {
      const count = readSync(descriptor, buffer, length, buffer.length - length, length);
      if (count === 0) break;
      length += count;
    }
    return buffer.toString("utf8", 0, length);
  } finally {
    closeSync(descriptor);
  }
}
