/** An image that holds the gauge and nothing else, so that every boundary runs the same bytes. */

import { readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { pack } from "tar-stream";
import type { Client } from "@bulkhead/sdk";

export const GAUGE_IMAGE = "bulkhead/gauge:latest";

/** Loads the image where the daemon has it not yet in this form. */
export async function loadGaugeImage(client: Client, gaugePath: string, architecture: string): Promise<void> {
  const archive = await gaugeArchive(readFileSync(gaugePath), architecture);
  for await (const line of client.images.load(once(archive), { quiet: true })) {
    if (line.error !== undefined) throw new Error(line.error);
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** A `docker save` archive with one layer; the same gauge gives the same bytes. */
export async function gaugeArchive(gauge: Uint8Array, architecture: string): Promise<Uint8Array> {
  const layer = await tar([
    { name: "gauge", mode: 0o755, bytes: gauge },
    { name: "tmp/", mode: 0o1777 },
  ]);
  const configuration = Buffer.from(
    JSON.stringify({
      architecture,
      os: "linux",
      created: "1970-01-01T00:00:00Z",
      config: { Entrypoint: [], Cmd: ["/gauge", "kernel"], Env: ["PATH=/"] },
      rootfs: { type: "layers", diff_ids: [`sha256:${digest(layer)}`] },
      history: [{ created: "1970-01-01T00:00:00Z", created_by: "bulkhead compare" }],
    }),
  );
  const name = digest(configuration);
  return tar([
    { name: `${name}.json`, mode: 0o644, bytes: configuration },
    { name: "layer.tar", mode: 0o644, bytes: layer },
    { name: "manifest.json", mode: 0o644, bytes: Buffer.from(JSON.stringify([{ Config: `${name}.json`, RepoTags: [GAUGE_IMAGE], Layers: ["layer.tar"] }])) },
  ]);
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function tar(entries: readonly { readonly name: string; readonly mode: number; readonly bytes?: Uint8Array }[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, mode, bytes } of entries) {
    const header = { name, mode, mtime: new Date(0) };
    if (bytes === undefined) archive.entry({ ...header, type: "directory" });
    else archive.entry(header, Buffer.from(bytes));
  }
  archive.finalize();
  const parts: Buffer[] = [];
  for await (const part of archive) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
