/** Every test and file that SPECIFICATION.md names is there: a promise whose test was renamed is a promise without one. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const CHECKOUT = join(import.meta.dirname, "..");
const text = readFileSync(join(CHECKOUT, "SPECIFICATION.md"), "utf8");
const promises = text.split(/^(?=\d+\. )/m).slice(1);
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: CHECKOUT, encoding: "utf8" }).split("\n");

const isThere = (name: string): boolean => files.some((file) => file === name || file.endsWith(`/${name}`) || file.startsWith(`${name}/`));

test("each promise names what would notice if it were broken", () => {
  expect(promises.length).toBeGreaterThan(20);
  for (const promise of promises) expect(promise, promise).toMatch(/\*[^*]*(test|src\/|native\/|compare --check)[^*]*\*/);
});

test("what is named is there", () => {
  const named = [...text.matchAll(/(?:(?:src|test|native|docs|bench)\/)?[\w/-]+(?:\.test\.ts|\.ts|\.rs|\.json|\.md)|(?:src|test|native|docs|bench)\/[\w/-]+/g)];
  expect(named.length).toBeGreaterThan(40);
  expect(named.map(([name]) => name.replace(/\/$/, "")).filter((name) => !isThere(name))).toEqual([]);
});
