import { expect, test } from "vitest";
import type { Bundle } from "../../contract/driver.ts";
import type { MountSpec, SandboxSpec } from "../../contract/spec.ts";
import { createTrialSpec } from "../../host/trial-spec.ts";
import type { MicrovmBundle } from "./bundle.ts";
import { sizeOf } from "./size.ts";
import { createTemplates } from "./templates.ts";

const workload = "ab".repeat(32);
const never = () => Promise.reject(new Error("nothing is launched here"));
const facet = createTemplates({ launcher: { hello: never, request: never }, fingerprint: () => "here", launch: never });

function bundleOf(changes: Partial<SandboxSpec> = {}, held: Partial<MicrovmBundle> = {}): Bundle {
  const root = { form: "block-image", drive: { path: "/i", format: "raw" }, extents: [], layers: [] } as const;
  const spec = { ...createTrialSpec({ workload, root, limits: {}, init: false }), ...changes };
  const driver: MicrovmBundle = {
    version: 1,
    spec,
    identity: { kind: "microvm", engine: "qemu", version: "7.2", emulated: true, traits: [] },
    program: "/usr/bin/qemu",
    systemFiles: [],
    kernel: { vmlinux: "/k/vmlinux", initrd: "/k/initrd", needsAcpi: false },
    kvm: false,
    size: sizeOf(spec.limits, { emulated: true, processors: 4, workload }),
    bootDeadlineMs: 10_000,
    socket: "/s",
    fileBinds: [],
    fingerprint: "here",
    ...held,
  };
  return { version: 1, kind: "microvm", workload, directory: "/w", driver };
}

const usual = facet.keyOf(bundleOf());
const binds = (count: number) => Array.from({ length: count }, (_, at): MountSpec => ({ kind: "bind", source: `/s${at}`, target: `/t${at}`, readOnly: false }));

test("nothing of a run is in the key: another image, name, volume, disk or limit of the same size begins from the same template", () => {
  const root = { form: "block-image", drive: { path: "/other", format: "vmdk" }, extents: ["/e"], layers: [] } as const;
  for (const changes of [{ root }, { hostname: "other" }, { mounts: binds(4) }, { limits: { pids: 9, diskBytes: 64 * 2 ** 20 } }])
    expect(facet.keyOf(bundleOf(changes))).toBe(usual);
});

test("what a saved state depends on is in the key: size, card, host, kernel, acceleration", () => {
  const network = {
    kind: "bridge",
    bridge: "b",
    interfaceName: "eth0",
    address: "10.0.0.2",
    prefixLength: 24,
    gateway: "10.0.0.1",
    mac: "",
    mtu: 1500,
    ports: [],
  } as const;
  const keys = [
    facet.keyOf(bundleOf({ limits: { memoryBytes: 2 ** 30 } })),
    facet.keyOf(bundleOf({ network })),
    facet.keyOf(bundleOf({}, { fingerprint: "another" })),
    facet.keyOf(bundleOf({}, { kernel: { vmlinux: "/k/other", initrd: "/k/initrd", needsAcpi: false } })),
    facet.keyOf(bundleOf({}, { kvm: true })),
  ];
  expect(new Set([usual, ...keys]).size).toBe(6);
  expect(keys).not.toContain(undefined);
});

test("what no template can carry boots: more shares than it has ports for, two emulated processors, a bundle of another host", () => {
  expect(facet.keyOf(bundleOf({ mounts: binds(5) }))).toBeUndefined();
  expect(facet.keyOf(bundleOf({ limits: { cpus: 2 } }))).toBeUndefined();
  expect(facet.keyOf(bundleOf({ limits: { cpus: 2 } }, { kvm: true }))).toBeDefined();
  const { fingerprint: _, ...older } = bundleOf().driver as MicrovmBundle;
  expect(facet.keyOf({ ...bundleOf(), driver: older })).toBeUndefined();
});
