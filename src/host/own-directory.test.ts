import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeOwnDirectory } from "./own-directory.ts";

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "bulkhead-own-"));
});
afterEach(() => rmSync(base, { recursive: true }));

test("a directory is made with all above it and its mode, and left as it is where it stands", () => {
  const path = join(base, "a/b");
  makeOwnDirectory(path, 0o700);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  makeOwnDirectory(path, 0o711);
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test("a file in its place or above it is named", () => {
  writeFileSync(join(base, "file"), "");
  for (const path of ["file", "file/root"])
    expect(() => makeOwnDirectory(join(base, path), 0o711)).toThrow(
      expect.objectContaining({ code: "UNAVAILABLE", message: expect.stringContaining("file"), remedy: expect.stringContaining("--root") }),
    );
});

test("where nothing can be made it says so, and does not try for ever", () => {
  expect(() => makeOwnDirectory("/proc/bulkhead-cannot-be/root", 0o711)).toThrow("/proc/bulkhead-cannot-be/root cannot be made");
});
