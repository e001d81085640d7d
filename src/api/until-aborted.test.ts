import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { untilAborted } from "./until-aborted.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

async function* count(to: number) {
  for (let number = 1; number <= to; number++) yield { number };
}

test("gives every element of a source that ends", async () => {
  const seen = await Array.fromAsync(untilAborted(count(3), new AbortController().signal));
  expect(seen.map(({ number }) => number)).toEqual([1, 2, 3]);
});

test("ends quietly when its client goes, though the source says nothing, and gives nothing to one that has gone", async () => {
  const client = new AbortController();
  const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<IteratorResult<number>>(() => {}) }) };
  const reading = Array.fromAsync(untilAborted(silent, client.signal));
  client.abort();
  expect(await reading).toEqual([]);
  expect(await Array.fromAsync(untilAborted(count(3), client.signal))).toEqual([]);
});

test("passes on what the source throws", async () => {
  const broken = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("broken")) }) };
  await expect(Array.fromAsync(untilAborted(broken, new AbortController().signal))).rejects.toThrow("broken");
});

test("holds nothing of what has passed, however long it goes on", async () => {
  const stream = untilAborted(count(2_000), new AbortController().signal);
  const passed: WeakRef<object>[] = [];
  for (let seen = 0; seen < 1_000; seen++) {
    const { value } = await stream.next();
    if (value !== undefined) passed.push(new WeakRef(value));
  }
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  expect(passed.filter((reference) => reference.deref() !== undefined).length).toBeLessThan(10);
  await stream.return(undefined);
});
