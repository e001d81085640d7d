import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { plainCall } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { LauncherAsk } from "../contract/launcher-protocol.ts";
import { openStateStore, type StateStore } from "../state/index.ts";
import { chainIds, digestOf, hexOf } from "./digest.ts";
import { Layers, type LayerWorker } from "./layers.ts";
import { Space } from "./space.ts";

const [A, B, X] = [digestOf("a"), digestOf("b"), digestOf("x")] as const;
let directory: string;
let state: StateStore;
let asked: LauncherAsk<"unpack">[];
let images: number;
/** Diff ids of layers that lean on what is below. */
let leaning: Set<string>;
let failing: boolean;
let reserveBytes: number;

const worker = {
  async request(verb: string, ask: unknown): Promise<never> {
    await Promise.resolve();
    if (verb === "layerImage") {
      images++;
      return { bytes: 4096 } as never;
    }
    const job = ask as LauncherAsk<"unpack">;
    asked.push(job);
    if (failing) throw new Failure("EXHAUSTED", "the disk is full");
    if (!existsSync(dirname(job.directory)) || existsSync(job.directory)) throw new Error("the place is not ready");
    mkdirSync(job.directory);
    return { diffId: job.diffId, bytes: 10, entries: 1, leansOnLowers: leaning.has(job.diffId ?? "") } as never;
  },
} satisfies LayerWorker;

const open = () =>
  Layers.open(join(directory, "layers"), {
    worker,
    state,
    space: new Space(directory, reserveBytes),
    settling: { mark: () => {} },
    limits: { maxBytes: 1, maxEntries: 1 },
  });
const source = (diffId: string) => ({ diffId, blob: "/blob" });
const ensure = (layers: Layers, ...diffIds: string[]) => layers.ensure(diffIds.map(source), () => {}, plainCall());

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-layers-"));
  state = openStateStore(directory);
  asked = [];
  images = 0;
  leaning = new Set();
  failing = false;
  reserveBytes = 0;
});
afterEach(() => {
  state.close();
  rmSync(directory, { recursive: true });
});

test("a layer is unpacked once, whoever asks and however often", async () => {
  const layers = await open();
  const [first, second] = await Promise.all([ensure(layers, A, X), ensure(layers, B, X)]);
  expect(new Set(asked.map(({ diffId }) => diffId))).toEqual(new Set([A, B, X]));
  expect(first[1]).toBe(second[1]);
  expect(await ensure(await open(), A, X)).toEqual(first);
  expect(asked).toHaveLength(3);
});

test("the layers below are handed over, uppermost first", async () => {
  const layers = await open();
  const [a, b] = await ensure(layers, A, B, X);
  expect(asked[2]?.lowers).toEqual([layers.treePath(b as string), layers.treePath(a as string)]);
});

test("a layer that leans on what is below is shared over the same layers only", async () => {
  leaning.add(X);
  const layers = await open();
  const [first, second, again] = await Promise.all([ensure(layers, A, X), ensure(layers, B, X), ensure(layers, A, X)]);
  expect(first[1]).toBe(hexOf(chainIds([A, X])[1] as string));
  expect(second[1]).toBe(hexOf(chainIds([B, X])[1] as string));
  expect(again).toEqual(first);
  expect(existsSync(layers.treePath(first[1] as string))).toBe(true);
  expect(existsSync(layers.treePath(hexOf(X)))).toBe(false);
});

test("a failure leaves nothing and the next attempt begins anew", async () => {
  const layers = await open();
  failing = true;
  await expect(ensure(layers, A)).rejects.toMatchObject({ code: "EXHAUSTED" });
  expect(readdirSync(join(directory, "layers"))).toEqual([]);
  failing = false;
  expect(await ensure(layers, A)).toEqual([hexOf(A)]);
});

test("directories without a record are removed at opening", async () => {
  mkdirSync(join(directory, "layers", hexOf(B), "tree"), { recursive: true });
  const layers = await open();
  expect(readdirSync(join(directory, "layers"))).toEqual([]);
  await ensure(layers, B);
  expect(existsSync(layers.treePath(hexOf(B)))).toBe(true);
});

test("an erofs image is made once and remembered", async () => {
  const layers = await open();
  const [key] = (await ensure(layers, A)) as [string];
  expect(await Promise.all([layers.ensureImage(key), layers.ensureImage(key)])).toEqual([4096, 4096]);
  await (await open()).ensureImage(key);
  expect(images).toBe(1);
});

test("a layer that would eat into the reserve is not begun, and neither is its filesystem image", async () => {
  const [key] = (await ensure(await open(), A)) as [string];
  reserveBytes = Number.MAX_SAFE_INTEGER;
  const full = await open();
  await expect(ensure(full, B)).rejects.toMatchObject({ code: "EXHAUSTED", message: expect.stringMatching(/too full for the layer: .* kept in reserve/) });
  await expect(full.ensureImage(key)).rejects.toMatchObject({ code: "EXHAUSTED" });
  expect([asked.length, images]).toEqual([1, 0]);
  expect(readdirSync(join(directory, "layers"))).toEqual([key]);
});
