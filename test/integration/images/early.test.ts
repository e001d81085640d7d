/** Layers that are unpacked while their archive still comes: nothing of it shows but the time. */

import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pack } from "tar-stream";
import { beforeAll, expect, test } from "vitest";
import { digestOf } from "../../../src/images/digest.ts";
import { type Bench, buildUnpacker, call, gather, openBench, pieces, quiet, worker } from "./bench.ts";

beforeAll(buildUnpacker);

const BIG = randomBytes(1_000_000);

interface Entry {
  readonly name: string;
  readonly type?: "directory" | "link";
  readonly mode?: number;
  readonly linkname?: string;
  readonly bytes?: Buffer;
}

async function layerOf(entries: readonly Entry[]): Promise<Buffer> {
  const layer = pack();
  for (const { bytes, ...header } of entries) layer.entry({ ...header, mtime: new Date(0) }, bytes ?? Buffer.alloc(0));
  layer.finalize();
  return await gather(layer as AsyncIterable<Uint8Array>);
}

/** In the order in which `docker save` writes: what names the layers comes last. */
async function archiveOf(layers: readonly Buffer[]): Promise<Buffer> {
  const archive = pack();
  layers.forEach((bytes, index) => archive.entry({ name: `${index}/layer.tar` }, bytes));
  archive.entry({ name: "c.json" }, JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: layers.map(digestOf) } }));
  archive.entry(
    { name: "manifest.json" },
    JSON.stringify([{ Config: "c.json", RepoTags: ["early:1"], Layers: layers.map((_, index) => `${index}/layer.tar`) }]),
  );
  archive.finalize();
  return await gather(archive as AsyncIterable<Uint8Array>);
}

/** The unpacker, with a list of what it was asked for. */
function watched(began: (early: boolean) => void) {
  return {
    async request(verb: string, ask: object): Promise<never> {
      if (verb === "unpack") began("blobBytes" in ask);
      return await worker.request(verb, ask);
    },
  };
}

async function treesOf(bench: Bench): Promise<readonly string[]> {
  const root = await bench.images.root(bench.images.get("early:1").id, "directories", call());
  if (root.form !== "directories") throw new Error("not directories");
  return root.layers;
}

const strays = (bench: Bench) => readdirSync(join(bench.directory, "images/layers")).filter((name) => !/^[0-9a-f]{64}$/.test(name));

test("a layer is unpacked before the rest of its archive has come, and once", async () => {
  const layer = await layerOf([{ name: "big", bytes: BIG }]);
  const bytes = await archiveOf([layer]);
  const asked: boolean[] = [];
  await using bench = await openBench({ worker: watched((early) => asked.push(early)) });
  const layers = join(bench.directory, "images/layers");
  async function* haltingly(): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 700_000);
    while (!readdirSync(layers).some((name) => existsSync(join(layers, name, ".tree.partial/big")))) await sleep(5);
    yield bytes.subarray(700_000);
  }
  await bench.images.load(haltingly(), quiet, call());
  expect(readFileSync(join((await treesOf(bench))[0] as string, "big")).equals(BIG)).toBe(true);
  // What is here is known by its beginning and its length.
  await bench.images.load(pieces(bytes), quiet, call());
  expect([asked, strays(bench)]).toEqual([[true], []]);
});

test("a layer that takes something from those below is unpacked over them afterwards", async () => {
  const base = await layerOf([
    { name: "private", type: "directory", mode: 0o700 },
    { name: "private/target", bytes: Buffer.from("below") },
    { name: "big", bytes: BIG },
  ]);
  const named = await layerOf([{ name: "private/above", bytes: BIG }]);
  const linked = await layerOf([
    { name: "linked", type: "link", linkname: "private/target" },
    { name: "other", bytes: BIG },
  ]);
  await using bench = await openBench();
  await bench.images.load(pieces(await archiveOf([base, named, linked])), quiet, call());
  const [third, second] = (await treesOf(bench)) as [string, string];
  expect(statSync(join(second, "private")).mode & 0o777).toBe(0o700);
  expect(readFileSync(join(third, "linked"), "utf8")).toBe("below");
  expect(strays(bench)).toEqual([]);
});

test("what an archive has besides its layers, or lies about, becomes no layer", async () => {
  const layer = await layerOf([{ name: "big", bytes: BIG }]);
  const lie = Buffer.from(layer);
  lie.writeUInt8(lie.readUInt8(700) ^ 1, 700);
  const bytes = await archiveOf([layer]);
  const lying = Buffer.concat([bytes.subarray(0, bytes.indexOf(layer)), lie, bytes.subarray(bytes.indexOf(layer) + layer.length)]);
  await using bench = await openBench();
  await expect(bench.images.load(pieces(lying), quiet, call())).rejects.toMatchObject({ code: "CORRUPT_DATA" });
  const besides = pack();
  besides.entry({ name: "film.mkv" }, randomBytes(500_000));
  besides.entry({ name: "spare.tar" }, lie);
  besides.finalize();
  const mixed = Buffer.concat([(await gather(besides as AsyncIterable<Uint8Array>)).subarray(0, -1024), bytes]);
  await bench.images.load(pieces(mixed), quiet, call());
  await bench.images.collect(call());
  expect(readdirSync(join(bench.directory, "images/layers"))).toEqual([digestOf(layer).slice("sha256:".length)]);
});

test("a load that is broken off in the middle of a layer leaves nothing of it", async () => {
  const bytes = await archiveOf([await layerOf([{ name: "big", bytes: BIG }])]);
  const begun = Promise.withResolvers<void>();
  await using bench = await openBench({ worker: watched(() => begun.resolve()) });
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 400_000);
    await begun.promise;
    throw Object.assign(new Error("the client went away"), { code: "ECONNRESET" });
  }
  await expect(bench.images.load(broken(), quiet, call())).rejects.toThrow();
  for (const part of ["staging", "layers"]) expect(readdirSync(join(bench.directory, "images", part))).toEqual([]);
});
