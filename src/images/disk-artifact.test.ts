import { expect, test } from "vitest";
import { readConfiguration } from "./configuration.ts";
import { DISK_COMMAND, diskFormatOf, diskOf, diskTypeOf, formatOf, isDiskConfiguration, writeDiskConfiguration } from "./disk-artifact.ts";
import { parseManifest, writeManifest } from "./manifest.ts";
import type { ImageRecord } from "./records.ts";

const digest = `sha256:${"a".repeat(64)}`;
const given = { createdAt: "2026-01-01T00:00:00Z", platform: { os: "linux", architecture: "amd64" }, config: { Labels: { a: "b" } }, comment: "" };

test("the configuration of a disk is read back, with the one word that stands for what its disk boots", () => {
  const document = writeDiskConfiguration(digest, given) as Record<string, unknown>;
  expect(isDiskConfiguration(document)).toBe(true);
  expect(readConfiguration(document)).toMatchObject({ diffIds: [digest], configuration: { entrypoint: [DISK_COMMAND], command: [], labels: { a: "b" } } });
});

test("a manifest of a disk is an image, and one of any other single file is not", () => {
  const configuration = { mediaType: "application/vnd.oci.image.config.v1+json", digest, sizeBytes: 2 };
  const of = (mediaType: string) => parseManifest(writeManifest(configuration, [{ mediaType, digest, sizeBytes: 512 }]));
  expect(of(diskTypeOf("qcow2"))).toMatchObject({ kind: "image" });
  expect(() => of("application/vnd.bulkhead.disk.v1+vmdk")).toThrow(/layer of type/);
});

test("the format is in the layer's type, and found by the first bytes of a file", () => {
  expect(diskFormatOf(diskTypeOf("raw"))).toBe("raw");
  expect(formatOf(Buffer.from("QFI\xfb more", "latin1"))).toBe("qcow2");
  expect(formatOf(Buffer.alloc(512))).toBe("raw");
  const layer = { digest, mediaType: diskTypeOf("qcow2"), sizeBytes: 1, diffId: digest };
  const record: ImageRecord = { version: 1, id: digest, manifest: digest, layers: [layer], layerKeys: [], digests: [] };
  expect(diskOf(record)).toEqual({ ...layer, format: "qcow2" });
  expect(diskOf({ ...record, layers: [] })).toBeUndefined();
});
