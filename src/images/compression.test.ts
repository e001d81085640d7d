import { gzipSync, zstdCompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { compressionOf, decompressed } from "./compression.ts";

async function* bytewise(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 3) yield bytes.subarray(at, at + 3);
}

async function through(bytes: Uint8Array): Promise<string> {
  let text = "";
  for await (const piece of decompressed(bytewise(bytes))) text += Buffer.from(piece).toString();
  return text;
}

test("plain, gzip, joined gzip and zstd are found out by their first bytes, however these arrive", async () => {
  const text = "one two three ".repeat(100);
  for (const bytes of [Buffer.from(text), gzipSync(text), zstdCompressSync(text), Buffer.concat([gzipSync(text.slice(0, 50)), gzipSync(text.slice(50))])]) {
    expect(await through(bytes)).toBe(text);
  }
  expect(await through(new Uint8Array())).toBe("");
});

test("a stream that is cut off or damaged is refused, and so is a compression that images do not have", async () => {
  const packed = gzipSync("x".repeat(10_000));
  await expect(through(packed.subarray(0, packed.length - 4))).rejects.toMatchObject({ code: "CORRUPT_DATA" });
  await expect(through(zstdCompressSync("x".repeat(1000)).subarray(0, 12))).rejects.toMatchObject({ code: "CORRUPT_DATA" });
  expect(() => compressionOf(Buffer.from("BZh9"))).toThrow(expect.objectContaining({ code: "UNSUPPORTED", message: expect.stringContaining("bzip2") }));
});
