import { expect, test } from "vitest";
import { plainProcess } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { createTrialSpec } from "../../host/trial-spec.ts";
import { machineTraitNames } from "../machine/monitor.ts";
import { trialDisk } from "./boot-sector.ts";
import { checkSpec, composePlan, nameServers, type VmBundle } from "./bundle.ts";
import { sizeOf } from "./size.ts";

const MIB = 1024 * 1024;
const workload = "ab".repeat(32);
const host = { emulated: true, processors: 2, baseBytes: 64 * MIB, workload };
const bridge: SandboxSpec["network"] = {
  kind: "bridge",
  bridge: "bh0",
  interfaceName: "eth0",
  address: "172.30.0.2",
  prefixLength: 16,
  gateway: "172.30.0.1",
  mac: "02:00:00:00:00:01",
  mtu: 1500,
  ports: [],
};
const spec: SandboxSpec = {
  ...createTrialSpec({ workload, root: { form: "disk", file: "/images/a,b.raw", bytes: 64 * MIB } }),
  hostname: "whole",
  resolvConf: "nameserver 1.1.1.1\nnameserver fe80::1\nnameserver 9.9.9.9\n",
  network: bridge,
};

function engineOf(own: Partial<SandboxSpec> = {}) {
  const asked = { ...spec, ...own };
  const held: VmBundle = {
    version: 1,
    spec: asked,
    identity: { kind: "vm", engine: "qemu", version: "7.2", emulated: true, traits: machineTraitNames(true) },
    program: "/usr/bin/qemu",
    systemFiles: ["/lib/a.so", "/usr/share/seabios/bios-256k.bin"],
    kvm: false,
    size: sizeOf(asked.limits, host),
    raiseDeadlineMs: 1000,
    socket: "/s",
  };
  const { engine } = composePlan({ version: 1, kind: "vm", workload, directory: "/w", driver: held }, held, plainProcess(["/disk"]));
  if (engine.kind !== "disk-machine") throw new Error("a whole machine was asked for");
  return engine;
}

test("the image is only read and lies beneath the workload's own disk, whatever either says of other files", () => {
  const { arguments: words, files, disk } = engineOf();
  const nodes = words.filter((_, at) => words[at - 1] === "-blockdev");
  expect(nodes).toEqual([
    "driver=file,node-name=image-file,filename=/images/a,,b.raw,read-only=on",
    "driver=raw,node-name=image,file=image-file,read-only=on",
    "driver=file,node-name=disk-file,filename=/w/disk.qcow2,discard=unmap",
    "driver=qcow2,node-name=disk,file=disk-file,backing=image,discard=unmap",
  ]);
  expect(files.filter(({ writable }) => writable)).toEqual([{ path: "/w/disk.qcow2", writable: true }]);
  expect(disk).toEqual({ path: "/w/disk.qcow2", bytes: 64 * MIB });
});

test("the processors stand until they are let go, and the monitor keeps its filter", () => {
  const words = engineOf().arguments;
  expect(words).toContain("-S");
  expect(words[words.indexOf("-sandbox") + 1]).toMatch(/^on,.*elevateprivileges=deny,spawn=deny/);
  expect(words).not.toContain("-no-reboot");
});

test("without a network it has no card, and with one its address and name servers are told by DHCP", () => {
  expect(engineOf({ network: { kind: "none" } }).arguments.join(" ")).not.toContain("virtio-net");
  expect(engineOf().arguments.join(" ")).toContain("mac=02:00:00:00:00:01,host_mtu=1500");
  expect(engineOf().names).toEqual({ hostname: "whole", servers: ["1.1.1.1", "9.9.9.9"] });
  expect(nameServers("nameserver 1.2.3.4.5\nsearch x\n")).toEqual([]);
});

test.each<[string, Partial<SandboxSpec>, RegExp]>([
  ["an image of layers", { root: { form: "directories", layers: [] } }, /the image is none/],
  ["the host's network", { network: { kind: "host" } }, /cannot use the host's/],
  ["a mount", { mounts: [{ kind: "tmpfs", target: "/t", readOnly: false, options: [] }] }, /could mount anything/],
  ["a read-only root", { security: { ...spec.security, readOnlyRoot: true } }, /written by its own system/],
  ["a sysctl", { sysctls: { "net.core.somaxconn": "1" } }, /its own system's/],
  ["a limit of processes", { limits: { pids: 5 } }, /limit pids/],
  ["a device", { security: { ...spec.security, devices: [{ hostPath: "/dev/x", path: "/dev/x", access: "r" }] } }, /no device of the host's/],
])("%s is refused by its name", (_, own, words) => {
  expect(() => checkSpec({ ...spec, ...own })).toThrow(words);
});

test("memory and processors are the machine's size, and the disk is never smaller than the image's", () => {
  expect(sizeOf({}, host)).toMatchObject({ memoryMib: 1024, processors: 1, diskBytes: 64 * MIB });
  expect(sizeOf({ memoryBytes: 100.5 * MIB, cpus: 1.5, diskBytes: 2 ** 30 }, host)).toMatchObject({
    memoryMib: 100,
    processors: 2,
    diskBytes: 2 ** 30,
    outer: { memoryBytes: (100 + 192) * MIB, cpus: 1.5 },
  });
  expect(() => sizeOf({ memoryBytes: 8 * MIB }, host)).toThrow(/at least 16 MiB/);
  expect(() => sizeOf({ diskBytes: 32 * MIB }, host)).toThrow(/cannot be smaller/);
});

test("the trial's disk begins with a boot sector whose code ends where its word begins", () => {
  const disk = trialDisk();
  expect(disk.subarray(510, 512).toString("hex")).toBe("55aa");
  expect(disk.indexOf("bulkhead\r\n")).toBe(disk.readUInt16LE(5) - 0x7c00);
});
