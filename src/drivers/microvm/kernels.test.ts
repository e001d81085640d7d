import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findKernel } from "./kernels.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-kernels-"));
  writeFileSync(join(directory, "vmlinux"), "");
  writeFileSync(join(directory, "initrd"), "");
});
afterEach(() => rmSync(directory, { recursive: true }));

test("the operator's kernel is never replaced by another in silence", () => {
  const places = { cache: directory, guestPrograms: [] };
  expect(findKernel({ ...places, kernel: join(directory, "vmlinux") })).toMatchObject({
    missing: expect.stringContaining("machine.kernel without machine.initrd"),
  });
  expect(findKernel({ ...places, initrd: join(directory, "initrd") })).toMatchObject({
    missing: expect.stringContaining("machine.initrd without machine.kernel"),
  });
  expect(findKernel({ ...places, kernel: join(directory, "gone"), initrd: join(directory, "initrd") })).toMatchObject({
    missing: expect.stringContaining("gone"),
  });
  expect(findKernel({ ...places, kernel: join(directory, "vmlinux"), initrd: join(directory, "initrd") })).toMatchObject({
    kernel: { vmlinux: join(directory, "vmlinux") },
  });
});
