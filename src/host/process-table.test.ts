import { expect, it } from "vitest";
import { ProcessTable } from "./process-table.ts";

const exit = (code: number) => ({ code, outOfMemory: false, at: "2026-01-02T03:04:05Z" });

it("knows the end of an exec that was told before its beginning was answered, however many others ended meanwhile", async () => {
  const table = new ProcessTable();
  for (let number = 1; number <= 200; number++) table.begin();
  for (let number = 1; number <= 200; number++) table.settle(number, exit(number % 128));
  for (let number = 1; number <= 200; number++) expect(await table.begun(number).exited).toMatchObject({ code: number % 128 });
});

it("forgets ended execs but the last 64, also where beginnings failed", () => {
  const table = new ProcessTable();
  table.begin();
  for (let number = 1; number <= 200; number++) {
    table.begin();
    table.begun(number);
    table.settle(number, exit(0));
  }
  table.failed();
  const left = Array.from({ length: 200 }, (_, at) => at + 1).filter((number) => table.find(number) !== undefined);
  expect(left).toEqual(Array.from({ length: 64 }, (_, at) => at + 137));
});
