import { linkSync, mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { allocatedBytes } from "./disk.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-disk-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));
const blocks = (...names: string[]): number => names.reduce((sum, name) => sum + statSync(join(directory, name)).blocks * 512, 0);

it("counts the blocks of every file once, whatever its names and its holes", () => {
  mkdirSync(join(directory, "below"));
  writeFileSync(join(directory, "below/full"), Buffer.alloc(100_000, 1));
  linkSync(join(directory, "below/full"), join(directory, "another-name"));
  writeFileSync(join(directory, "holes"), "");
  truncateSync(join(directory, "holes"), 10_000_000);
  expect(allocatedBytes(directory)).toBe(blocks(".", "below", "below/full"));
  expect(blocks("below/full")).toBeGreaterThan(0);
});

it("leaves out what it is told to, with all below it", () => {
  mkdirSync(join(directory, "kept/deep"), { recursive: true });
  writeFileSync(join(directory, "kept/deep/file"), Buffer.alloc(100_000, 1));
  expect(allocatedBytes(directory, new Set([join(directory, "kept")]))).toBe(blocks("."));
});

it("refuses a directory that is not there", () => {
  expect(() => allocatedBytes(join(directory, "nowhere"))).toThrow(/ENOENT/);
});
