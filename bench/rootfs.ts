/** The files of an image, unpacked from what the daemon saves, for the raw mechanisms. Whiteouts are applied as tar meets them. */

import { execFileSync } from "node:child_process";
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Client } from "@bulkhead/sdk";

export interface UnpackedImage {
  readonly directory: string;
  remove(): void;
}

export async function unpackImage(client: Client, image: string): Promise<UnpackedImage> {
  const work = mkdtempSync(join(tmpdir(), "bulkhead-rootfs-"));
  const remove = (): void => rmSync(work, { recursive: true, force: true });
  try {
    const archive = join(work, "image.tar");
    await pipeline(Readable.from(await client.images.save([image])), createWriteStream(archive));
    const parts = join(work, "parts");
    const directory = join(work, "rootfs");
    mkdirSync(parts);
    mkdirSync(directory);
    execFileSync("tar", ["-xf", archive, "-C", parts]);
    rmSync(archive);
    const manifest = JSON.parse(readFileSync(join(parts, "manifest.json"), "utf8")) as { Layers: string[] }[];
    for (const layer of manifest[0]?.Layers ?? []) execFileSync("tar", ["-xf", join(parts, layer), "-C", directory, "--exclude=.wh.*"]);
    rmSync(parts, { recursive: true });
    return { directory, remove };
  } catch (thrown) {
    remove();
    throw thrown;
  }
}
