import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Failure, type FailureCode } from "../contract/failure.ts";
import { openStateStore, type StateStore } from "../state/index.ts";
import { Settling } from "./settling.ts";

let directory: string;
let state: StateStore;
let syncs: number;
let refusal: FailureCode | undefined;
/** Called while the disk works. */
let meanwhile: () => void;

const worker = {
  async request(verb: string, ask: unknown): Promise<never> {
    expect([verb, ask]).toEqual(["syncLayers", { directory }]);
    syncs++;
    await Promise.resolve();
    meanwhile();
    if (refusal !== undefined) throw new Failure(refusal, "no");
    return {} as never;
  },
};
const open = () => new Settling({ state, directory, worker });

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-settling-"));
  state = openStateStore(directory);
  syncs = 0;
  refusal = undefined;
  meanwhile = () => {};
});
afterEach(() => {
  state.close();
  rmSync(directory, { recursive: true });
});

test("marks go when the disk has what they stand for, and nothing is synced for nobody", async () => {
  const settling = open();
  settling.begin();
  await settling.settled();
  expect(syncs).toBe(0);
  settling.mark("a");
  settling.mark("b");
  expect(settling.marked()).toEqual(["a", "b"]);
  settling.begin();
  settling.begin();
  await settling.settled();
  expect([settling.marked(), syncs]).toEqual([[], 1]);
});

test("what is marked while the disk works keeps its mark until it has worked again", async () => {
  const settling = open();
  settling.mark("a");
  settling.mark("b");
  meanwhile = () => {
    if (syncs === 1) settling.mark("b");
  };
  settling.begin();
  await settling.settled();
  expect(settling.marked()).toEqual(["b"]);
  settling.begin();
  await settling.settled();
  expect([settling.marked(), syncs]).toEqual([[], 2]);
});

test("a launcher that went away says nothing about the disk: the next daemon goes on", async () => {
  refusal = "CONNECTION_LOST";
  const settling = open();
  settling.mark("a");
  settling.begin();
  await settling.settled();
  expect(settling.marked()).toEqual(["a"]);
  refusal = undefined;
  const next = open();
  next.begin();
  await next.settled();
  expect(next.marked()).toEqual([]);
});

test("what the disk refused once keeps its mark whatever it says later", async () => {
  refusal = "INTERNAL";
  const settling = open();
  settling.mark("a");
  settling.begin();
  await settling.settled();
  refusal = undefined;
  settling.mark("b");
  settling.begin();
  await settling.settled();
  expect(settling.marked()).toEqual(["a"]);
});

test("a store that is closed while the disk works keeps its marks and disturbs nobody", async () => {
  const settling = open();
  settling.mark("a");
  meanwhile = () => state.close();
  settling.begin();
  await settling.settled();
  state = openStateStore(directory);
  expect(open().marked()).toEqual(["a"]);
});
