import { existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pack } from "tar-stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { plainCall } from "../contract/call.ts";
import { ArchiveFiles } from "./archive-files.ts";
import { Blobs } from "./blobs.ts";
import { digestOf } from "./digest.ts";
import { LeaseBundle, Leases } from "./leases.ts";
import { Space } from "./space.ts";

let directory: string;
let blobs: Blobs;
let marks: string[] = [];
const leases = new LeaseBundle(new Leases());

const openBlobs = (reserveBytes = 0) => Blobs.open(directory, new Space(directory, reserveBytes), { mark: (name) => void marks.push(name) });
const staged = () => readdirSync(join(directory, "staging"));

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-blobs-"));
  marks = [];
  blobs = await openBlobs();
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
});

test("a blob is there under its digest, whole, and leased from the start", async () => {
  const written = await blobs.put(Buffer.from("hello"), leases);
  expect(written).toEqual({ digest: digestOf("hello"), sizeBytes: 5 });
  expect((await blobs.bytes(written.digest)).toString()).toBe("hello");
  expect(await blobs.list()).toEqual([written.digest]);
});

test("a blob bears a mark before it has its name, and what has the name already is not replaced", async () => {
  const { digest } = await blobs.put(Buffer.from("hello"), leases);
  expect(marks).toEqual([`blob ${digest}`]);
  const { ino } = statSync(blobs.path(digest));
  marks = [];
  await blobs.put(Buffer.from("hello"), leases);
  expect([statSync(blobs.path(digest)).ino, marks, staged()]).toEqual([ino, [], []]);
});

test("what comes in pieces of every length is written whole and in order", async () => {
  const pieces = Array.from({ length: 3000 }, (_, index) => Buffer.alloc((index * 7919) % 4096, index));
  await using writer = await blobs.create();
  for (const piece of pieces) await writer.write(piece);
  const { digest } = await blobs.keep(writer, leases);
  const whole = Buffer.concat(pieces);
  expect(digest).toBe(digestOf(whole));
  expect((await blobs.bytes(digest)).equals(whole)).toBe(true);
});

test("another digest than the expected one leaves nothing", async () => {
  await using writer = await blobs.create();
  await writer.write(Buffer.from("lie"));
  await expect(blobs.keep(writer, leases, digestOf("truth"))).rejects.toMatchObject({ code: "CORRUPT_DATA" });
  expect([await blobs.list(), staged()]).toEqual([[], []]);
});

test("a partial file is hashed again when it is continued", async () => {
  const path = blobs.partialPath(digestOf("hello world"));
  writeFileSync(path, "hello ");
  await using writer = await blobs.resume(digestOf("hello world"));
  expect(writer.sizeBytes).toBe(6);
  await writer.write(Buffer.from("world"));
  expect((await blobs.keep(writer, leases, digestOf("hello world"))).sizeBytes).toBe(11);
  expect(existsSync(path)).toBe(false);
});

test("opening removes what was half-written and keeps what can be continued", async () => {
  const partial = blobs.partialPath(digestOf("x"));
  writeFileSync(join(directory, "staging/1-0"), "half");
  writeFileSync(partial, "half");
  await openBlobs();
  expect(staged()).toEqual([]);
  expect(readFileSync(partial, "utf8")).toBe("half");
});

test("a digest that is a path names no file", () => {
  for (const digest of ["sha256:../../../etc/passwd", "sha512:x", "", `sha256:${"g".repeat(64)}`])
    expect(() => blobs.path(digest)).toThrow(expect.objectContaining({ code: "CORRUPT_DATA" }));
});

/** Makes every write of every open file fail, as the kernel does on a full disk. */
async function failWrites(): Promise<void> {
  const file = await open("/dev/null", "r");
  const full = () => Promise.reject(Object.assign(new Error("no space left on device"), { code: "ENOSPC" }));
  vi.spyOn(Object.getPrototypeOf(file) as typeof file, "writev").mockImplementation(full);
  await file.close();
}

/** Files below the store that this process holds open. */
const held = () =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory);
    } catch {
      return false;
    }
  });

function archiveOf(bytes: number): AsyncIterable<Uint8Array> {
  const archive = pack();
  archive.entry({ name: "layer.tar" }, Buffer.alloc(bytes));
  archive.finalize();
  return archive as AsyncIterable<Uint8Array>;
}

const WAYS: Readonly<Record<string, () => Promise<unknown>>> = {
  "a document": () => blobs.put(Buffer.from("{}"), leases),
  "a file of an archive": () => ArchiveFiles.read(archiveOf(1 << 20), { blobs, leases, progress: () => {} }, plainCall()),
  "a download": async () => {
    await using writer = await blobs.resume(digestOf("y"));
    await writer.write(Buffer.from("y"));
    await blobs.keep(writer, leases, digestOf("y"));
  },
};

for (const [what, way] of Object.entries(WAYS)) {
  test(`${what} that a full disk cuts off leaves no file and no open handle`, async () => {
    await failWrites();
    await expect(way()).rejects.toMatchObject({ code: "EXHAUSTED", message: expect.stringContaining("disk is full") });
    expect([held(), staged(), readdirSync(join(directory, "partial")), await blobs.list()]).toEqual([[], [], [], []]);
  });

  test(`${what} is refused before the disk is full`, async () => {
    blobs = await openBlobs(Number.MAX_SAFE_INTEGER);
    await expect(way()).rejects.toMatchObject({
      code: "EXHAUSTED",
      message: expect.stringMatching(/too full for the (image|archive): .* are free, .* kept in reserve/),
    });
    expect([held(), staged(), readdirSync(join(directory, "partial")), await blobs.list()]).toEqual([[], [], [], []]);
  });
}
