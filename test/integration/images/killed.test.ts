/** SIGKILL at any moment of load, pull, unpack, image making and removal: what the next daemon believes is whole, and nothing else is there. */

import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { type Bench, buildUnpacker, call, openBench, pieces, quiet } from "./bench.ts";
import { archiveOf, startRegistry } from "./registry.ts";

beforeAll(buildUnpacker);

const KILLS = 20;
const LAYERS = [randomBytes(2_000_000), randomBytes(1_000_000), Buffer.from("small")];

/** Starts the victim, kills it and all its children after so many milliseconds. */
async function killAfter(delayMs: number, words: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "victim.ts"), ...words], { stdio: ["ignore", "pipe", "inherit"], detached: true });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  await Promise.race([new Promise((resolve) => child.stdout.once("data", resolve)), gone.then(() => Promise.reject(new Error("the victim died by itself")))]);
  await sleep(delayMs);
  expect(child.exitCode).toBeNull();
  process.kill(-(child.pid as number), "SIGKILL");
  await gone;
}

async function checkWhole(bench: Bench): Promise<void> {
  const root = join(bench.directory, "images");
  for (const hex of readdirSync(join(root, "blobs/sha256")))
    expect(
      createHash("sha256")
        .update(readFileSync(join(root, "blobs/sha256", hex)))
        .digest("hex"),
    ).toBe(hex);
  expect(readdirSync(join(root, "staging"))).toEqual([]);
  for (const image of bench.images.list()) {
    const form = await bench.images.root(image.id, "directories", call());
    if (form.form !== "directories") throw new Error("not directories");
    for (const [index, bytes] of LAYERS.entries())
      expect(readFileSync(join(form.layers[LAYERS.length - 1 - index] as string, `file${index}`)).equals(bytes)).toBe(true);
    expect((await bench.images.root(image.id, "block-image", call())).form).toBe("block-image");
  }
  for (const layer of readdirSync(join(root, "layers"))) {
    expect(layer).toMatch(/^[0-9a-f]{64}$/);
    expect(readdirSync(join(root, "layers", layer)).filter((name) => name.startsWith("."))).toEqual([]);
  }
}

test("whatever is interrupted, the next daemon finds only what is whole and can go on", { timeout: 240_000 }, async () => {
  await using registry = await startRegistry();
  const directory = mkdtempSync("/tmp/bulkhead-killed-");
  try {
    await using source = await openBench({ registries: {} });
    const reference = `${registry.host}/app:1`;
    const bytes = archiveOf(LAYERS, reference, source.directory);
    await source.images.load(pieces(bytes), quiet, call());
    await source.images.push(reference, quiet, call());
    const archive = join(source.directory, "archive.tar");
    writeFileSync(archive, bytes);
    for (let kill = 0; kill < KILLS; kill++) {
      // Spread over one round of the victim's work, a little further at each.
      await killAfter(kill * 37, [directory, archive, reference]);
      const bench = await openBench({}, directory);
      await checkWhole(bench);
      await bench.images.collect(call());
      bench.state.close();
    }
    const bench = await openBench({ registries: {} }, directory);
    expect((await bench.images.pull(reference, quiet, call())).tags).toEqual([reference]);
    await checkWhole(bench);
    await bench.images.remove(reference, { force: true, prune: true });
    for (const part of ["blobs/sha256", "staging", "layers"]) expect(readdirSync(join(directory, "images", part))).toEqual([]);
    bench.state.close();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
