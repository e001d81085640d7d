/**
 * The share server against this machine's own kernel, and against a guest that sends what it likes (native/share/tests). Each of its tests is
 * one of cargo's; here they count as two, whose output names those that failed.
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const native = join(import.meta.dirname, "../../native");
const root = process.getuid?.() === 0;
const fuse = existsSync("/dev/fuse");

function cargo(test: string) {
  const path = `${process.env["HOME"] ?? "/root"}/.cargo/bin:/usr/sbin:/sbin:${process.env["PATH"] ?? ""}`;
  const options = ["test", "--release", "-p", "bulkhead-share", "--test", test];
  const run = spawnSync("cargo", options, { cwd: native, encoding: "utf8", env: { ...process.env, PATH: path }, timeout: 300_000 });
  expect(run.status, `${run.stdout}${run.stderr}`.slice(-6000)).toBe(0);
}

describe("native share server", () => {
  it.skipIf(!root)("gives a hostile guest nothing outside the share", { timeout: 300_000 }, () => cargo("hostile"));
  it.skipIf(!root || !fuse)("shows files, directories and their changes as they are", { timeout: 300_000 }, () => cargo("passthrough"));
  if (!root) console.log("native share server: skipped, because mounts are made by root alone");
  else if (!fuse) console.log("native share server: partly skipped, because there is no /dev/fuse (modprobe fuse)");
});
