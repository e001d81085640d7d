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
  let wanted = path;
  for (let links = 0; links <= MAX_LINKS; links++) {
    const parts = normalize(wanted);
    const found = lookUp(layers, parts, maxBytes);
    if (found === undefined || "text" in found) return found;
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

type Found = LayeredFile | { readonly target: string; readonly depth: number };

function lookUp(layers: readonly string[], parts: readonly string[], maxBytes: number): Found | undefined {
  for (const [index, layer] of layers.entries()) {
    const found = lookInLayer(layer, parts, maxBytes);
    if (found === "hidden") return undefined;
    if (found === "absent") continue;
    return typeof found === "string" ? undefined : "text" in found ? { text: found.text, layer: index } : found;
  }
  return undefined;
}

type FoundInLayer = "absent" | "hidden" | { readonly text: string } | { readonly target: string; readonly depth: number };

/** Walks by descriptors (`/proc/self/fd`), so that a workload that swaps directories for links meanwhile gains nothing. */
function lookInLayer(layer: string, parts: readonly string[], maxBytes: number): FoundInLayer {
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
      } else if (!status.isFile() || status.size > maxBytes) return "hidden";
    }
    return held.length === 0 ? "hidden" : { text: readHeld(at, maxBytes) };
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
