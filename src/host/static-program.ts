/** Programs of the host that can be shown inside any image: those that need no loader and no library. */

import { closeSync, openSync, readSync } from "node:fs";

const PT_INTERP = 3;
const MAX_PROGRAM_HEADERS = 64;

/** The first of the paths that is a statically linked 64-bit ELF program; undefined where none is. */
export function findStaticProgram(paths: readonly string[]): string | undefined {
  return paths.find((path) => isStatic(path));
}

function isStatic(path: string): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch {
    return false;
  }
  try {
    const header = Buffer.alloc(64);
    if (readSync(descriptor, header, 0, 64, 0) < 64 || header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2) return false;
    const offset = Number(header.readBigUInt64LE(32));
    const size = header.readUInt16LE(54);
    const count = header.readUInt16LE(56);
    if (size < 56 || count === 0 || count > MAX_PROGRAM_HEADERS) return false;
    const table = Buffer.alloc(size * count);
    if (readSync(descriptor, table, 0, table.length, offset) < table.length) return false;
    for (let index = 0; index < count; index++) if (table.readUInt32LE(index * size) === PT_INTERP) return false;
    return true;
  } finally {
    closeSync(descriptor);
  }
}
