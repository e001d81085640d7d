/**
 * The native network crate against real kernels' bridges and firewalls, in namespaces of its own (native/network/tests). Each of its
 * tests is one of cargo's; here they count as one, whose output names those that failed.
 */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const native = join(import.meta.dirname, "../../native");
const root = process.getuid?.() === 0;

describe("native network", () => {
  it.skipIf(!root)("raises, publishes, guards and takes away as its own tests say", { timeout: 600_000 }, () => {
    const path = `${process.env["HOME"] ?? "/root"}/.cargo/bin:/usr/sbin:/sbin:${process.env["PATH"] ?? ""}`;
    const run = spawnSync("cargo", ["test", "--release", "-p", "bulkhead-network"], { cwd: native, encoding: "utf8", env: { ...process.env, PATH: path } });
    expect(run.status, `${run.stdout}${run.stderr}`.slice(-6000)).toBe(0);
  });
  if (!root) console.log("native network: skipped, because network namespaces are made by root alone");
});
