/** What the image tests share: a store over a directory of its own, with the unpacker run by hand in place of the launcher. */

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { plainCall } from "../../../src/contract/call.ts";
import { Failure } from "../../../src/contract/failure.ts";
import type { LauncherAsk } from "../../../src/contract/launcher-protocol.ts";
import { type Images, type ImagesOptions, openImages } from "../../../src/images/index.ts";
import { openStateStore, type StateStore } from "../../../src/state/index.ts";

const run = promisify(execFile);
const NATIVE = resolve(import.meta.dirname, "../../../native");
export const LAYER_PROGRAM = join(NATIVE, "target/x86_64-unknown-linux-gnu/release/examples/layer");

/** Builds the unpacker's program where it is not what the source says. */
export async function buildUnpacker(): Promise<void> {
  await run("cargo", ["build", "--release", "-p", "bulkhead-unpack", "--example", "layer"], { cwd: NATIVE });
}

/** The launcher's three verbs, done by the crate's example program. */
export const worker = {
  async request(verb: string, ask: unknown): Promise<never> {
    if (verb === "unpack") return (await unpack(ask as LauncherAsk<"unpack">)) as never;
    if (verb === "syncLayers") return (await layer(["sync", (ask as LauncherAsk<"syncLayers">).directory])) as never;
    const { directory, file } = ask as LauncherAsk<"layerImage">;
    return (await layer(["image", directory, dirname(file), basename(file)])) as never;
  },
};

async function unpack({ blob, blobBytes, directory, lowers, diffId, maxBytes, maxEntries, reserveBytes }: LauncherAsk<"unpack">): Promise<unknown> {
  const promise = diffId === undefined ? [] : ["diff-id", diffId];
  const growing = blobBytes === undefined ? [] : ["blob-bytes", `${blobBytes}`];
  const below = lowers.flatMap((lower) => ["lower", lower]);
  return await layer([
    "unpack",
    blob,
    dirname(directory),
    basename(directory),
    "max-bytes",
    `${maxBytes}`,
    "max-entries",
    `${maxEntries}`,
    "reserve-bytes",
    `${reserveBytes}`,
    ...promise,
    ...growing,
    ...below,
  ]);
}

async function layer(words: readonly string[]): Promise<unknown> {
  try {
    return JSON.parse((await run(LAYER_PROGRAM, words)).stdout);
  } catch (thrown) {
    const { stdout } = thrown as { stdout?: string };
    if (stdout === undefined || stdout === "") throw thrown;
    throw Failure.fromDocument(JSON.parse(stdout));
  }
}

export interface Bench extends AsyncDisposable {
  readonly directory: string;
  images: Images;
  state: StateStore;
  /** Opens everything again, as a new daemon would. */
  reopen(): Promise<void>;
}

/** In a fresh directory, or in one that an earlier bench has left. */
export async function openBench(options: Partial<ImagesOptions> = {}, directory: string = mkdtempSync("/tmp/bulkhead-images-")): Promise<Bench> {
  const open = async () => {
    const state = openStateStore(join(directory, "state"));
    return { state, images: await openImages({ state, worker, ...options, directory: join(directory, "images") }) };
  };
  const bench: Bench = {
    directory,
    ...(await open()),
    async reopen() {
      bench.state.close();
      Object.assign(bench, await open());
    },
    async [Symbol.asyncDispose]() {
      bench.state.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return bench;
}

export const call = plainCall;
export const quiet = { progress: () => {} };

export async function* pieces(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function gather(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const found: Uint8Array[] = [];
  for await (const piece of source) found.push(piece);
  return Buffer.concat(found);
}
