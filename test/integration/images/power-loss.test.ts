/** What is believed of images after the host died before the disk had all of them. The loss is made by hand: the files are what a crash can leave. */

import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { busyboxArchive } from "../../../scripts/fixtures/busybox-image.ts";
import { Failure } from "../../../src/contract/failure.ts";
import type { ImagesOptions } from "../../../src/images/index.ts";
import { type Bench, buildUnpacker, call, openBench, pieces, quiet, worker } from "./bench.ts";

let busybox: Buffer;
let directory: string;
let told: object[];
let unpacked: number;

beforeAll(async () => {
  await buildUnpacker();
  busybox = await busyboxArchive();
});
beforeEach(() => {
  directory = mkdtempSync("/tmp/bulkhead-power-");
  told = [];
  unpacked = 0;
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const ignore = () => {};
const log = { debug: ignore, info: ignore, warn: (fields: object) => void told.push(fields), error: ignore };

const diligent = {
  async request(verb: string, ask: unknown): Promise<never> {
    const done = await worker.request(verb, ask);
    // One begun early may come too late to see its file, and is then done again.
    if (verb === "unpack") unpacked++;
    return done;
  },
};
/** A disk that has not yet got anything. */
const lazy = {
  async request(verb: string, ask: unknown): Promise<never> {
    if (verb === "syncLayers") throw new Failure("CONNECTION_LOST", "the launcher went away");
    return await diligent.request(verb, ask);
  },
};

const open = (boot: string, options: Partial<ImagesOptions> = { worker: lazy }) => openBench({ boot, log, ...options }, directory);

async function treeOf(bench: Bench): Promise<string> {
  const root = await bench.images.root(bench.images.get("busybox").id, "directories", call());
  if (root.form !== "directories") throw new Error("not directories");
  return root.layers[0] as string;
}

/** Loads and lets go, as a daemon that the host's end ended. Where the image's layer lies, as blob and as tree. */
async function load(options?: Partial<ImagesOptions>): Promise<{ readonly tree: string; readonly blob: string }> {
  const bench = await open("first", options);
  await bench.images.load(pieces(busybox), quiet, call());
  await bench.images.settled();
  const tree = await treeOf(bench);
  bench.state.close();
  const blobs = join(directory, "images/blobs/sha256");
  const hex = tree.split("/").at(-2) ?? "";
  return { tree, blob: join(blobs, hex) };
}

test("a tree that the disk may have lost in part is made again from its blob", async () => {
  const { tree } = await load();
  const shell = readFileSync(join(tree, "bin/busybox"));
  truncateSync(join(tree, "bin/busybox"), 0);
  const bench = await open("second", { worker: diligent });
  expect(readFileSync(join(await treeOf(bench), "bin/busybox")).equals(shell)).toBe(true);
  await bench.images.settled();
  bench.state.close();
  expect([unpacked, told.length]).toEqual([2, 1]); // the first disk's refusal was told
  // From now on it is believed, whatever host was started.
  (await open("third")).state.close();
  expect(unpacked).toBe(2);
});

test("an image of which nothing is whole any more is forgotten and told, and can be loaded again", async () => {
  const { blob } = await load();
  truncateSync(blob, 4096);
  told = [];
  const bench = await open("second");
  expect(bench.images.list()).toEqual([]);
  expect(told).toMatchObject([{ tags: ["docker.io/library/busybox:latest"], fault: expect.stringContaining("gone or damaged") }]);
  expect(readdirSync(join(directory, "images/blobs/sha256")).some((name) => blob.endsWith(name))).toBe(false);
  await bench.images.load(pieces(busybox), quiet, call());
  expect(readFileSync(join(await treeOf(bench), "bin/busybox")).length).toBeGreaterThan(100_000);
  bench.state.close();
});

test("the death of the daemon alone costs nothing, and the next one has the disk get the rest", async () => {
  await load();
  const bench = await open("first", { worker: diligent });
  await bench.images.settled();
  bench.state.close();
  (await open("second")).state.close();
  expect(unpacked).toBe(1);
});

test("what the disk has is believed after the host's death, unread", async () => {
  await load({ worker: diligent });
  const bench = await open("second");
  expect(bench.images.list()).toHaveLength(1);
  bench.state.close();
  expect([unpacked, told]).toEqual([1, []]);
});

test("a blob that no image names is kept only if it is what its name says", async () => {
  await load({ worker: diligent });
  const blobs = join(directory, "images/blobs/sha256");
  const whole = createHash("sha256").update("whole").digest("hex");
  const [before, damaged] = [readdirSync(blobs), "0".repeat(64)];
  writeFileSync(join(blobs, whole), "whole");
  writeFileSync(join(blobs, damaged), "");
  (await open("first")).state.close();
  expect(readdirSync(blobs)).toContain(damaged);
  (await open("second")).state.close();
  expect(readdirSync(blobs).toSorted()).toEqual([...before, whole].toSorted());
});
