import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openStateStore } from "./store.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-state-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("documents come back as they were put, also after reopening", () => {
  const first = openStateStore(directory);
  first.collection<object>("workloads").put("a", { name: "web", nested: [1, { deep: "ü" }] });
  first.collection<object>("images").put("a", { other: true }, { durable: true });
  first.close();
  const second = openStateStore(directory);
  expect(second.collection("workloads").get("a")).toEqual({ name: "web", nested: [1, { deep: "ü" }] });
  expect(second.collection("images").get("a")).toEqual({ other: true });
  expect(second.collection("workloads").get("b")).toBeUndefined();
  second.close();
});

test("all() walks in order of insertion, and a changed document keeps its place", () => {
  const store = openStateStore(directory);
  const items = store.collection<number>("items");
  items.put("z", 1);
  items.put("a", 2);
  items.put("m", 3);
  items.put("z", 4);
  items.delete("a");
  items.put("a", 5);
  expect([...items.all()]).toEqual([
    ["z", 4],
    ["m", 3],
    ["a", 5],
  ]);
  store.close();
});

test("documents may be deleted while all() is walked", () => {
  const store = openStateStore(directory);
  const items = store.collection<number>("items");
  for (let n = 0; n < 5; n++) items.put(`k${n}`, n);
  for (const [key] of items.all()) items.delete(key);
  expect([...items.all()]).toEqual([]);
  store.close();
});

test("a transaction that throws leaves nothing, nested ones included", () => {
  const store = openStateStore(directory);
  const items = store.collection<number>("items");
  items.put("kept", 1);
  expect(() =>
    store.transaction(() => {
      items.put("kept", 2);
      store.transaction(() => items.put("inner", 3, { durable: true }));
      throw new Error("given up");
    }),
  ).toThrow("given up");
  expect([...items.all()]).toEqual([["kept", 1]]);
  expect(store.transaction(() => (items.put("later", 4, { durable: true }), "done"))).toBe("done");
  expect(items.get("later")).toBe(4);
  store.close();
});

test("asynchronous work is refused in a transaction", () => {
  const store = openStateStore(directory);
  expect(() => store.transaction(async () => {})).toThrow(/synchronous/);
  store.collection("items").put("after", 1);
  store.close();
});

test("a second daemon on the same root is refused by name, and may come when the first has gone", () => {
  const first = openStateStore(directory);
  expect(() => openStateStore(directory)).toThrow(
    expect.objectContaining({ code: "ALREADY_EXISTS", message: expect.stringContaining(`process ${process.pid}`) }),
  );
  first.close();
  openStateStore(directory).close();
});

test("a store written by a newer program is refused and left as it was", () => {
  openStateStore(directory).close();
  const raw = new DatabaseSync(join(directory, "state.db"));
  raw.exec("INSERT INTO migration VALUES (999, 'tomorrow')");
  raw.close();
  for (let attempt = 0; attempt < 2; attempt++) {
    expect(() => openStateStore(directory)).toThrow(expect.objectContaining({ code: "UNSUPPORTED", message: expect.stringContaining("version 999") }));
  }
});

test("a file that is no database is refused with a way out", () => {
  writeFileSync(join(directory, "state.db"), "not a database, and long enough to be looked at as one by SQLite's header check....".repeat(20));
  expect(() => openStateStore(directory)).toThrow(expect.objectContaining({ code: "CORRUPT_DATA", remedy: expect.stringContaining("backup") }));
});

test("on a full disk a document is still stored, out of the room held back, which comes back once something was removed", () => {
  const store = openStateStore(directory);
  const items = store.collection<string>("items");
  items.put("old", "x");
  const reserve = join(directory, "reserve");
  const whole = statSync(reserve).size;
  let refusals = 2;
  const refuse = vi.spyOn(StatementSync.prototype, "run").mockImplementation(function (this: StatementSync, ...values) {
    if (refusals-- > 0) throw Object.assign(new Error("database or disk is full"), { errcode: 13 });
    refuse.mockRestore();
    return this.run(...values);
  });
  items.put("new", "y");
  expect(items.get("new")).toBe("y");
  expect(statSync(reserve).size).toBeLessThan(whole);
  items.delete("old");
  expect(statSync(reserve).size).toBe(whole);
  store.close();
});

test("where nothing is left of the room held back, a full disk is told", () => {
  const store = openStateStore(directory);
  const refuse = vi.spyOn(StatementSync.prototype, "run").mockImplementation(() => {
    throw Object.assign(new Error("database or disk is full"), { errcode: 13 });
  });
  expect(() => store.collection<string>("items").put("new", "y")).toThrow("disk is full");
  expect(statSync(join(directory, "reserve")).size).toBe(0);
  refuse.mockRestore();
  store.close();
});
