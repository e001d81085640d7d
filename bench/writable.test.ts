import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { requireWritable } from "./writable.ts";

let directory: string;
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), "bulkhead-writable-"))));
afterEach(() => rmSync(directory, { recursive: true }));

test("a file that can be written is left as it is, or not there as it was", () => {
  const [there, missing] = [join(directory, "there"), join(directory, "missing")];
  writeFileSync(there, "earlier");
  requireWritable([there, missing, "-", undefined]);
  expect([readFileSync(there, "utf8"), existsSync(missing)]).toEqual(["earlier", false]);
});

test.each(["no/such/x.json", "."])("results for %s are refused, naming it", (name) => {
  expect(() => requireWritable([join(directory, name)])).toThrow(/the results cannot be written to .*: /);
});

test.each(["json", "html"])("compare refuses --%s before it asks any daemon", (option) => {
  const path = join(directory, "no/such/x");
  const { status, stderr } = spawnSync(process.execPath, ["bench/main.ts", `--host=unix://${directory}/none.sock`, `--${option}=${path}`], {
    encoding: "utf8",
  });
  expect([status, stderr]).toEqual([125, expect.stringContaining(`cannot be written to ${path}`)]);
});
