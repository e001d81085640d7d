import { plainProcess } from "../../contract/process.ts";
import { expect, test } from "vitest";
import type { SandboxSpec } from "../../contract/spec.ts";
import { checkSpec, composePlan, type MicrovmBundle } from "./bundle.ts";
import { sizeOf } from "./size.ts";
import { machineTraitNames } from "../machine/monitor.ts";

const workload = "ab".repeat(32);
const spec: SandboxSpec = {
  workload,
  root: { form: "block-image", drive: { path: "/i/root.vmdk", format: "vmdk" }, extents: ["/i/layer"], layers: [{ offsetBytes: 1048576, lengthBytes: 4096 }] },
  hostname: "guesthouse",
  hosts: "",
  resolvConf: "",
  mounts: [
    { kind: "bind", source: "/srv/data", target: "/data", readOnly: false },
    { kind: "tmpfs", target: "/t", readOnly: false, options: [] },
    { kind: "bind", source: "/srv/one.conf", target: "/etc/one", readOnly: true },
  ],
  network: { kind: "none" },
  limits: {},
  rlimits: [],
  sysctls: {},
  shmBytes: 65536,
  security: {
    privileged: false,
    capabilities: ["CAP_CHOWN"],
    noNewPrivileges: true,
    seccomp: "default",
    readOnlyRoot: false,
    maskedPaths: ["/proc/kcore"],
    readOnlyPaths: [],
    hostNamespaces: [],
    devices: [],
  },
  init: false,
  log: { kind: "none" },
};
const held: MicrovmBundle = {
  version: 1,
  spec,
  identity: { kind: "microvm", engine: "qemu", version: "7.2", emulated: true, traits: machineTraitNames(true) },
  program: "/usr/bin/qemu",
  systemFiles: ["/lib/a.so"],
  kernel: { vmlinux: "/k/vmlinux", initrd: "/k/initrd", needsAcpi: false },
  kvm: false,
  size: sizeOf({}, { emulated: true, processors: 2, workload }),
  bootDeadlineMs: 10_000,
  socket: "/s",
  fileBinds: [2],
};
const main = { ...plainProcess(["/secret-command"]), environment: ["TOKEN=secret"], workingDirectory: "", user: "web" };
const engineOf = () => {
  const { engine } = composePlan({ version: 1, kind: "microvm", workload, directory: "/w", driver: held }, held, main);
  if (engine.kind !== "machine") throw new Error("a machine was asked for");
  return engine;
};

test("nothing of the run is in the monitor's arguments", () => {
  const line = engineOf().arguments.join(" ");
  for (const word of ["secret", "TOKEN", "guesthouse", "web", "/srv"]) expect(line).not.toContain(word);
});

test("the monitor sees the files that it needs, none of them writable, and is not root", () => {
  const engine = engineOf();
  expect(engine.files.map(({ path }) => path)).toEqual(["/usr/bin/qemu", "/lib/a.so", "/k/vmlinux", "/k/initrd", "/i/root.vmdk", "/i/layer"]);
  expect(engine.files.some(({ writable }) => writable)).toBe(false);
  expect(engine.uid).toBeGreaterThan(0x6c00_0000 - 1);
});

test("binds are shares in their order, and a single file is named in its own", () => {
  const { guest, shares } = engineOf();
  expect(shares).toEqual([
    { source: "/srv/data", readOnly: false },
    { source: "/srv/one.conf", readOnly: true },
  ]);
  expect(guest.mounts).toMatchObject([{ share: 0, target: "/data" }, { kind: "tmpfs" }, { share: 1, target: "/etc/one", file: "one.conf" }]);
});

test("what a machine can never carry is refused by its name", () => {
  const refused = (changes: Partial<SandboxSpec>) => {
    try {
      checkSpec({ ...spec, ...changes });
    } catch (thrown) {
      return thrown;
    }
    return undefined;
  };
  const unsupported = (what: RegExp) => expect.objectContaining({ code: "UNSUPPORTED", message: expect.stringMatching(what) });
  expect(refused({ network: { kind: "host" } })).toEqual(unsupported(/cannot use the host's/));
  expect(refused({ security: { ...spec.security, hostNamespaces: ["pid"] } })).toEqual(unsupported(/host's pid namespace/));
  expect(refused({ security: { ...spec.security, devices: [{ hostPath: "/dev/snd", path: "/dev/snd", access: "rw" }] } })).toEqual(unsupported(/"\/dev\/snd"/));
  expect(refused({ root: { form: "directories", layers: ["/l"] } })).toEqual(unsupported(/block image/));
  expect(refused({})).toBeUndefined();
});

test("an emulated machine has none of the traits that a processor would enforce", () => {
  expect(machineTraitNames(true)).toEqual(["own-kernel"]);
  expect(machineTraitNames(false)).toContain("hardware-enforced");
});
