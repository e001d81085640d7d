import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Store } from "./intake.ts";
import type { ImageRecord } from "./records.ts";
import { Views } from "./view.ts";

test("an image is seen as soon as its record stands, and is not there once its configuration is gone", () => {
  const directory = mkdtempSync(join(tmpdir(), "bulkhead-view-"));
  const store = { blobs: { path: (digest: string) => join(directory, digest) }, records: { tagsOf: () => [] } } as unknown as Store;
  const record = { id: `sha256:${"a".repeat(64)}`, digests: [], layers: [], layerKeys: [] } as unknown as ImageRecord;
  try {
    writeFileSync(
      join(directory, record.id),
      JSON.stringify({ architecture: "amd64", os: "linux", config: { Cmd: ["true"] }, rootfs: { type: "layers", diff_ids: [] } }),
    );
    expect(new Views(store).of(record)).toMatchObject({ id: record.id, configuration: { command: ["true"] } });
    rmSync(join(directory, record.id));
    expect(() => new Views(store).of(record)).toThrow(expect.objectContaining({ code: "NOT_FOUND" }));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
