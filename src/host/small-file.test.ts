import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findExitRecord } from "./exit-record.ts";
import { findSmallFile, lastLine } from "./small-file.ts";

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-small-"));
  path = join(directory, "exit.json");
});
afterEach(() => rmSync(directory, { recursive: true }));

test("a file is read whole up to its bound, and what is not there is undefined", async () => {
  expect(await findSmallFile(path, "note", 5)).toBeUndefined();
  writeFileSync(path, "héll");
  expect(await findSmallFile(path, "note", 5)).toBe("héll");
  writeFileSync(path, "123456");
  await expect(findSmallFile(path, "note", 5)).rejects.toMatchObject({ code: "CORRUPT_DATA", message: expect.stringContaining("longer than 5 bytes") });
});

test.each<[string, () => void]>([
  ["a terabyte of nothing", () => (writeFileSync(path, ""), truncateSync(path, 2 ** 40))],
  ["a pipe that nobody writes", () => void execFileSync("mkfifo", [path])],
  ["a directory", () => mkdirSync(path)],
  ["a device without end", () => symlinkSync("/dev/zero", path)],
])("an exit record that is %s is refused at once", async (_, make) => {
  make();
  await expect(findExitRecord(path)).rejects.toMatchObject({ code: "CORRUPT_DATA" });
});

test("the last line of a log is read from its end", () => {
  writeFileSync(path, "first\n");
  truncateSync(path, 2 ** 40);
  writeFileSync(path, `\nthe last\n`, { flag: "a" });
  expect(lastLine(path)).toBe("the last");
});
