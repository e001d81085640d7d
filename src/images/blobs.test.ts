import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BlobWriter, Blobs } from "./blobs.ts";
import { digestOf } from "./digest.ts";
import { LeaseBundle, Leases } from "./leases.ts";

let directory: string;
let blobs: Blobs;
const leases = new LeaseBundle(new Leases());

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-blobs-"));
  blobs = await Blobs.open(directory);
});
afterEach(() => rmSync(directory, { recursive: true }));

test("a blob is there under its digest, whole, and leased from the start", async () => {
  const written = await blobs.put(Buffer.from("hello"), leases);
  expect(written).toEqual({ digest: digestOf("hello"), sizeBytes: 5 });
  expect((await blobs.bytes(written.digest)).toString()).toBe("hello");
  expect(await blobs.list()).toEqual([written.digest]);
});

test("another digest than the expected one leaves nothing", async () => {
  const writer = await BlobWriter.create(blobs.stagingPath());
  await writer.write(Buffer.from("lie"));
  await expect(blobs.keep(writer, leases, digestOf("truth"))).rejects.toMatchObject({ code: "CORRUPT_DATA" });
  expect(await blobs.list()).toEqual([]);
});

test("a partial file is hashed again when it is continued", async () => {
  const path = blobs.partialPath(digestOf("hello world"));
  writeFileSync(path, "hello ");
  const writer = await BlobWriter.resume(path);
  expect(writer.sizeBytes).toBe(6);
  await writer.write(Buffer.from("world"));
  expect((await blobs.keep(writer, leases, digestOf("hello world"))).sizeBytes).toBe(11);
  expect(existsSync(path)).toBe(false);
});

test("opening removes what was half-written and keeps what can be continued", async () => {
  const [staged, partial] = [blobs.stagingPath(), blobs.partialPath(digestOf("x"))];
  writeFileSync(staged, "half");
  writeFileSync(partial, "half");
  await Blobs.open(directory);
  expect(existsSync(staged)).toBe(false);
  expect(readFileSync(partial, "utf8")).toBe("half");
});

test("a digest that is a path names no file", () => {
  for (const digest of ["sha256:../../../etc/passwd", "sha512:x", "", `sha256:${"g".repeat(64)}`])
    expect(() => blobs.path(digest)).toThrow(expect.objectContaining({ code: "CORRUPT_DATA" }));
});
