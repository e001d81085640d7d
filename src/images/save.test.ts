import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { plainCall } from "../contract/call.ts";
import type { Store } from "./intake.ts";
import type { ImageRecord } from "./records.ts";
import { saveArchive, type SavedImage } from "./save.ts";

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const image = { id: digest("a"), manifest: digest("c"), layers: [{ digest: digest("b") }] } as unknown as ImageRecord;
const saved: SavedImage = { image, tags: [] };
const BYTES = 4 * 1024 * 1024;

/** What would end a daemon. */
let uncaught: unknown[];
const note = (thrown: unknown) => uncaught.push(thrown);
beforeEach(() => {
  uncaught = [];
  process.on("uncaughtException", note);
});
afterEach(() => {
  process.off("uncaughtException", note);
});

function storeOf(read: (digest: string) => AsyncGenerator<Uint8Array>, size: number | undefined = BYTES): Store {
  return { blobs: { size: () => Promise.resolve(size), read } } as unknown as Store;
}

async function* zeros(): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < BYTES; sent += 64 * 1024) yield await Promise.resolve(new Uint8Array(64 * 1024));
}

async function drain(archive: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const bytes of archive) void bytes;
}

test("an image that is removed while it is saved ends the archive with a failure, and nothing else", async () => {
  const store = storeOf(async function* (asked) {
    if (asked === digest("b")) throw Object.assign(new Error("ENOENT: no such file or directory"), { code: "ENOENT" });
    yield* zeros();
  });
  await expect(drain(saveArchive(store, [saved], plainCall()))).rejects.toThrow();
  await expect(drain(saveArchive({ blobs: { size: () => Promise.resolve(undefined) } } as unknown as Store, [saved], plainCall()))).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
  await sleep(5);
  expect(uncaught).toEqual([]);
});

test("a reader who leaves in the middle ends the reading of the image as well", async () => {
  let open = 0;
  const store = storeOf(async function* () {
    open++;
    try {
      yield* zeros();
    } finally {
      open--;
    }
  });
  for await (const bytes of saveArchive(store, [saved], plainCall())) {
    if (bytes.length > 1000) break;
  }
  await vi.waitFor(() => expect(open).toBe(0));
  expect(uncaught).toEqual([]);
});
