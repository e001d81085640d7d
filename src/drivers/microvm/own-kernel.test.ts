import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Finding } from "../../contract/driver.ts";
import { prepareCommand } from "./kernels.ts";
import { judgeOwnKernel } from "./own-kernel.ts";

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "bulkhead-kernels-"));
});
afterEach(() => rmSync(cache, { recursive: true }));

const debian = { vmlinux: "/kernel/debian-6.1/vmlinux", initrd: "/kernel/debian-6.1/initrd", needsAcpi: true };
const judge = (): Finding | undefined => judgeOwnKernel(debian, { cache, guestPrograms: [] });
const notBuilt = (...lines: string[]) => writeFileSync(join(cache, "not-built"), `${lines.join("\n")}\n`);

test("nothing is said of our own kernel where machines boot it, or the operator's", () => {
  expect(judgeOwnKernel({ ...debian, needsAcpi: false }, { cache, guestPrograms: [] })).toBeUndefined();
  expect(judgeOwnKernel(debian, { cache, guestPrograms: [], kernel: debian.vmlinux, initrd: debian.initrd })).toBeUndefined();
});

test("the distribution's kernel is noted, with the command that makes ours", () => {
  expect(judge()).toMatchObject({ id: "guest-kernel-own", level: "note", what: expect.stringContaining(debian.vmlinux), remedy: prepareCommand() });
});

test("why ours could not be built is told, and what it lacks comes before the command that builds it", () => {
  notBuilt("building our own guest kernel needs flex bison", "apt-get install flex bison", "");
  expect(judge()).toMatchObject({ what: expect.stringContaining("needs flex bison"), remedy: `apt-get install flex bison && ${prepareCommand()}` });
  notBuilt("building it failed", "", "");
  expect(judge()).toMatchObject({ what: expect.stringContaining("building it failed"), remedy: prepareCommand() });
});

test("no remedy is named where this distribution has none", () => {
  notBuilt("it is made from linux-source-6.1; linux-source-6.8.0 is not known to do", "", "impossible");
  expect(judge()?.what).toContain("linux-source-6.8.0");
  expect(judge()).not.toHaveProperty("remedy");
});

test("a build that goes on is told as one, and a record of one that is no more is not", () => {
  const stat = readFileSync(`/proc/${process.pid}/stat`, "utf8");
  const began = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  writeFileSync(join(cache, `.build-${process.pid}`), `${began}\n/checkout\n`);
  expect(judge()?.what).toContain("is being built now");
  expect(judge()).not.toHaveProperty("remedy");
  writeFileSync(join(cache, `.build-${process.pid}`), "1\n/checkout\n");
  expect(judge()?.remedy).toBe(prepareCommand());
});
