import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isVerdict } from "../machine/trial.ts";
import { mayHaveChanged, type Probed } from "./probe.ts";

function missing(id: string): Probed {
  return { report: { kind: "microvm", usable: false, findings: [{ id, level: "missing", what: "it" }], facets: [] }, machines: undefined };
}

test("a probe is asked again when a kernel that was not there may be, and not when a machine did not boot", () => {
  expect(mayHaveChanged(missing("guest-kernel-there"))).toBe(true);
  expect(mayHaveChanged(missing("qemu-installed"))).toBe(true);
  expect(mayHaveChanged(missing("machine-boots"))).toBe(false);
});

test("a probe is asked again when the kernel that it found was removed", () => {
  const directory = mkdtempSync(join(tmpdir(), "bulkhead-probe-"));
  const [program, vmlinux, initrd] = ["qemu", "vmlinux", "initrd"].map((name) => join(directory, name)) as [string, string, string];
  for (const path of [program, vmlinux, initrd]) writeFileSync(path, "");
  const probed: Probed = {
    report: { kind: "microvm", usable: true, findings: [], facets: [] },
    machines: {
      program,
      version: "7.2",
      systemFiles: [],
      kernel: { vmlinux, initrd, needsAcpi: false },
      kvm: false,
      bootDeadlineMs: 1,
      fingerprint: "",
    },
  };
  expect(mayHaveChanged(probed)).toBe(false);
  rmSync(initrd);
  expect(mayHaveChanged(probed)).toBe(true);
  rmSync(directory, { recursive: true });
});

test("a trial of KVM is remembered where it booted or was too late, and not where something died under it", () => {
  expect(isVerdict({ tookMs: 200 })).toBe(true);
  expect(isVerdict({ failure: { message: "did not end within 900 ms" }, late: true })).toBe(true);
  expect(isVerdict({ failure: { message: "QEMU was killed" } })).toBe(false);
});
