import { expect, test } from "vitest";
import { chainIds, digestOf } from "./digest.ts";
import { MEDIA, parseManifest, writeManifest } from "./manifest.ts";

const part = { mediaType: MEDIA.layer, digest: digestOf("x"), sizeBytes: 1 };
const parse = (document: unknown, type?: string) => parseManifest(Buffer.from(JSON.stringify(document)), type);

test("what was written is read again", () => {
  expect(parseManifest(writeManifest({ ...part, mediaType: MEDIA.configuration }, [part, part]))).toMatchObject({ kind: "image", layers: [part, part] });
});

test("docker's layers and compressed ones are layers; other artifacts are refused", () => {
  const layered = (mediaType: string) => ({
    schemaVersion: 2,
    config: { digest: part.digest, size: 1 },
    layers: [{ mediaType, digest: part.digest, size: 1 }],
  });
  for (const type of ["application/vnd.docker.image.rootfs.diff.tar.gzip", `${MEDIA.layer}+zstd`, `${MEDIA.layer}+gzip`])
    expect(parse(layered(type)).kind).toBe("image");
  expect(() => parse(layered("application/javascript"))).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
});

test.each([
  ["schema 1 by its version", { schemaVersion: 1 }, undefined, "UNSUPPORTED"],
  ["schema 1 by its type", { schemaVersion: 2 }, "application/vnd.docker.distribution.manifest.v1+prettyjws", "UNSUPPORTED"],
  ["no version", {}, undefined, "CORRUPT_DATA"],
  ["an index that is an image too", { schemaVersion: 2, manifests: [], layers: [] }, undefined, "CORRUPT_DATA"],
  ["a negative size", { schemaVersion: 2, config: { digest: part.digest, size: -1 }, layers: [] }, undefined, "CORRUPT_DATA"],
  ["a list", [], undefined, "CORRUPT_DATA"],
])("%s is refused", (_, document, type, code) => {
  expect(() => parse(document, type)).toThrow(expect.objectContaining({ code }));
});

test("chain ids are those of the specification", () => {
  const [a, b] = [digestOf("a"), digestOf("b")];
  expect(chainIds([a, b])).toEqual([a, digestOf(`${a} ${b}`)]);
});

test("lists that nobody honest makes long are refused before they are read", () => {
  const many = (count: number) => Array.from({ length: count }, () => ({ nothing: true }));
  expect(() => parse({ schemaVersion: 2, config: {}, layers: many(201) })).toThrow(/list of layers has 201 items; 200 are allowed/);
  expect(() => parse({ schemaVersion: 2, manifests: many(1001) })).toThrow(/the index has 1001 items; 1000 are allowed/);
});
