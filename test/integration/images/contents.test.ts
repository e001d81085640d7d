/** What an image's files say of its needs, read from layers as the real unpacker leaves them. */

import { createHash } from "node:crypto";
import { pack } from "tar-stream";
import { beforeAll, expect, test } from "vitest";
import { buildUnpacker, call, gather, openBench, quiet } from "./bench.ts";

beforeAll(buildUnpacker);

async function archive(name: string, layers: readonly Readonly<Record<string, number>>[]): Promise<AsyncIterable<Uint8Array>> {
  const packed = await Promise.all(layers.map(layerOf));
  const whole = pack();
  const diffIds = packed.map((layer) => `sha256:${createHash("sha256").update(layer).digest("hex")}`);
  whole.entry({ name: "config.json" }, JSON.stringify({ architecture: "amd64", os: "linux", config: {}, rootfs: { type: "layers", diff_ids: diffIds } }));
  for (const [index, layer] of packed.entries()) whole.entry({ name: `${index}.tar` }, layer);
  whole.entry({ name: "manifest.json" }, JSON.stringify([{ Config: "config.json", RepoTags: [name], Layers: packed.map((_, index) => `${index}.tar`) }]));
  whole.finalize();
  return whole as AsyncIterable<Uint8Array>;
}

/** Files with these modes, in the order given. */
async function layerOf(files: Readonly<Record<string, number>>): Promise<Buffer> {
  const layer = pack();
  for (const [path, mode] of Object.entries(files)) layer.entry({ name: path, mode, mtime: new Date(0) }, "x");
  layer.finalize();
  return Buffer.from(await gather(layer as AsyncIterable<Uint8Array>));
}

test("an image with set-user-id programs is known to have them, without those that a higher layer takes away or mends", async () => {
  await using bench = await openBench();
  const lower = { "usr/bin/su": 0o4755, "usr/bin/passwd": 0o4755, "opt/old/helper": 0o4755, "usr/bin/ls": 0o755, "usr/lib/systemd/systemd": 0o755 };
  const upper = { "usr/bin/.wh.passwd": 0, "opt/.wh.old": 0, "lib/modules/6.1/a.ko": 0o644 };
  const [image] = await bench.images.load(await archive("with-su:1", [lower, upper]), quiet, call());
  const found = { setUserIdFiles: ["/usr/bin/su"], initSystems: ["/usr/lib/systemd/systemd"], kernelModules: ["/lib/modules/6.1/a.ko"], complete: true };
  expect(await bench.images.contents(image?.id ?? "")).toEqual(found);
  await bench.reopen();
  expect(await bench.images.contents("with-su:1")).toEqual(found);
});

test("an image without any is known to have none", async () => {
  await using bench = await openBench();
  const [image] = await bench.images.load(await archive("plain:1", [{ "bin/ls": 0o755, "sbin/init": 0o755 }]), quiet, call());
  expect(await bench.images.contents(image?.id ?? "")).toEqual({ setUserIdFiles: [], initSystems: [], kernelModules: [], complete: true });
});
