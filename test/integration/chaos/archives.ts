/** Archives as they should not be, made from a good one. */

import { createHash } from "node:crypto";
import { pack } from "tar-stream";

export interface Entry {
  readonly name: string;
  readonly bytes?: Buffer | string;
  readonly type?: "file" | "directory" | "symlink";
  readonly linkname?: string;
  readonly mode?: number;
}

export async function makeArchive(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, bytes = "", type = "file", linkname, mode } of entries)
    archive.entry(
      { name, type, ...(linkname === undefined ? {} : { linkname }), ...(mode === undefined ? {} : { mode }) },
      type === "file" ? Buffer.from(bytes) : Buffer.alloc(0),
    );
  archive.finalize();
  const parts: Buffer[] = [];
  for await (const part of archive) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

const digestOf = (bytes: Buffer | string) => createHash("sha256").update(bytes).digest("hex");

/** An OCI image of one layer. `lie`: the layer's bytes are other than its digest says. */
export async function makeImage(name: string, layer: Buffer, lie = false): Promise<Buffer> {
  const described = (mediaType: string, bytes: Buffer | string) => ({ mediaType, digest: `sha256:${digestOf(bytes)}`, size: Buffer.byteLength(bytes) });
  const configuration = JSON.stringify({
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: { Cmd: ["sh"] },
    rootfs: { type: "layers", diff_ids: [`sha256:${digestOf(layer)}`] },
  });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: described("application/vnd.oci.image.config.v1+json", configuration),
    layers: [described("application/vnd.oci.image.layer.v1.tar", layer)],
  });
  const annotations = { "io.containerd.image.name": `docker.io/library/${name}:latest` };
  const index = { schemaVersion: 2, manifests: [{ ...described("application/vnd.oci.image.manifest.v1+json", manifest), annotations }] };
  const other = Buffer.from(layer);
  if (lie) other[other.length - 1] = (other.at(-1) ?? 0) ^ 1;
  return makeArchive([
    { name: "oci-layout", bytes: JSON.stringify({ imageLayoutVersion: "1.0.0" }) },
    { name: "index.json", bytes: JSON.stringify(index) },
    { name: `blobs/sha256/${digestOf(configuration)}`, bytes: configuration },
    { name: `blobs/sha256/${digestOf(manifest)}`, bytes: manifest },
    { name: `blobs/sha256/${digestOf(layer)}`, bytes: other },
  ]);
}
