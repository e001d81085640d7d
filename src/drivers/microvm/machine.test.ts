import { expect, test } from "vitest";
import { machineArguments } from "./machine.ts";

const parts = {
  kernel: { vmlinux: "/k/vmlinux", initrd: "/k/initrd", needsAcpi: false },
  root: { path: "/images/a,b.vmdk", format: "vmdk" },
  scratch: "/w/scratch",
  size: { memoryMib: 128, processors: 1 },
  network: true,
  shares: 2,
  kvm: false,
} as const;

test("a machine has no device that it does not need, and at most eight of virtio-mmio", () => {
  const devices = (network: boolean, shares: number) => machineArguments({ ...parts, network, shares }).filter((word) => /^virtio-.*-device/.test(word));
  expect(devices(false, 0).map((word) => word.split(",")[0])).toEqual(["virtio-blk-device", "virtio-blk-device", "virtio-serial-device"]);
  expect(devices(true, 30)).toHaveLength(4);
});

test("a comma in a path does not end the option", () => {
  expect(machineArguments(parts).find((word) => word.includes("id=root"))).toContain("file=/images/a,,b.vmdk,format=vmdk,readonly=on");
});

test("the monitor's own seccomp filter forbids spawning and gaining privileges", () => {
  expect(machineArguments(parts).join(" ")).toContain("-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
});

test("mitigations are switched off under emulation alone, and the one-processor timer with one processor alone", () => {
  const line = (kvm: boolean, processors: number) =>
    machineArguments({ ...parts, kvm, size: { memoryMib: 128, processors } }).find((word) => word.startsWith("console="));
  expect(line(true, 1)).toBe("console=ttyS0 quiet panic=-1 reboot=t");
  expect(line(false, 1)).toContain("mitigations=off");
  expect(line(false, 1)).toContain("noapictimer");
  expect(line(false, 2)).not.toContain("noapictimer");
});
