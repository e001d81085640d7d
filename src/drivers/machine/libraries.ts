/**
 * Which files a program needs to run: the dynamic loader and the closure of its libraries, read from the ELF files themselves
 * (System V ABI, chapter 5: DT_NEEDED, DT_RUNPATH). The monitor's private root holds these and nothing else of the system.
 */

import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { dirname } from "node:path";

const SYSTEM_DIRECTORIES = [
  "/lib/x86_64-linux-gnu",
  "/usr/lib/x86_64-linux-gnu",
  "/lib/aarch64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/lib64",
  "/usr/lib64",
  "/lib",
  "/usr/lib",
];
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT = { needed: 1n, strings: 5n, rpath: 15n, runpath: 29n } as const;
const LONGEST_NAME = 4096;

interface Needs {
  readonly interpreter: string | undefined;
  readonly libraries: readonly string[];
  readonly directories: readonly string[];
}

/** The programs themselves are not in the answer. What cannot be found is left out: the program will say so itself. */
export function findLibraries(programs: readonly string[]): string[] {
  const found = new Set<string>();
  const queue = programs.map((path) => ({ path, directories: [] as readonly string[] }));
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const needs = readNeeds(next.path);
    if (needs.interpreter !== undefined) found.add(needs.interpreter);
    const directories = [...needs.directories, ...next.directories];
    for (const name of needs.libraries) {
      const path = [...directories, ...SYSTEM_DIRECTORIES].map((directory) => `${directory}/${name}`).find((candidate) => existsSync(candidate));
      if (path === undefined || found.has(path)) continue;
      found.add(path);
      queue.push({ path, directories });
    }
  }
  return [...found].sort();
}

function readNeeds(path: string): Needs {
  const file = openSync(path, "r");
  const read = (offset: number, length: number) => {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(file, bytes, 0, length, offset));
  };
  try {
    const header = read(0, 64);
    // 64-bit, little-endian: every machine that Bulkhead knows.
    if (header.length < 64 || header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1)
      return { interpreter: undefined, libraries: [], directories: [] };
    return readDynamic(path, header, read);
  } finally {
    closeSync(file);
  }
}

function readDynamic(path: string, header: Buffer, read: (offset: number, length: number) => Buffer): Needs {
  const table = read(Number(header.readBigUInt64LE(32)), header.readUInt16LE(54) * header.readUInt16LE(56));
  const segments = Array.from({ length: header.readUInt16LE(56) }, (_, at) => {
    const entry = table.subarray(at * 56, at * 56 + 56);
    const [offset, address, size] = [8, 16, 32].map((place) => Number(entry.readBigUInt64LE(place))) as [number, number, number];
    return { type: entry.readUInt32LE(0), offset, address, size };
  });
  const find = (type: number) => segments.find((segment) => segment.type === type);
  const [interpreter, dynamic] = [find(PT_INTERP), find(PT_DYNAMIC)];
  const entries: (readonly [bigint, number])[] = [];
  if (dynamic !== undefined) {
    const bytes = read(dynamic.offset, dynamic.size);
    for (let at = 0; at + 16 <= bytes.length; at += 16) entries.push([bytes.readBigUInt64LE(at), Number(bytes.readBigUInt64LE(at + 8))]);
  }
  const strings = entries.find(([tag]) => tag === DT.strings)?.[1] ?? 0;
  const load = segments.find(({ type, address, size }) => type === PT_LOAD && strings >= address && strings < address + size);
  const text = (at: number) => {
    const bytes = read(strings - (load?.address ?? 0) + (load?.offset ?? 0) + at, LONGEST_NAME);
    return bytes.toString("utf8", 0, Math.max(0, bytes.indexOf(0)));
  };
  const texts = (...tags: bigint[]) => entries.filter(([tag]) => tags.includes(tag)).map(([, value]) => text(value));
  return {
    interpreter: interpreter === undefined ? undefined : read(interpreter.offset, interpreter.size).toString("utf8").replaceAll("\0", ""),
    libraries: texts(DT.needed),
    directories: texts(DT.rpath, DT.runpath).flatMap((list) => list.split(":").map((directory) => directory.replaceAll(/\$\{?ORIGIN\}?/g, dirname(path)))),
  };
}
