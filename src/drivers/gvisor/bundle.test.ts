import { expect, test } from "vitest";
import { plainProcess, type ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec, SecuritySpec } from "../../contract/spec.ts";
import { placesOf } from "../oci/bundle.ts";
import { composeConfig, composePlan, type GvisorBundle, readBundle } from "./bundle.ts";
import { checkSpec } from "./spec.ts";

const SECURITY: SecuritySpec = {
  privileged: false,
  capabilities: ["CAP_CHOWN", "CAP_KILL"],
  noNewPrivileges: true,
  seccomp: "default",
  readOnlyRoot: false,
  maskedPaths: [],
  readOnlyPaths: [],
  hostNamespaces: [],
  devices: [],
};
const SPEC: SandboxSpec = {
  workload: "a".repeat(64),
  root: { form: "directories", layers: ["/store/2", "/store/1"] },
  hostname: "box",
  hosts: "",
  resolvConf: "",
  mounts: [],
  network: { kind: "none" },
  limits: {},
  rlimits: [],
  sysctls: {},
  shmBytes: 1024,
  security: SECURITY,
  init: false,
  log: { kind: "none" },
};
const MAIN: ProcessSpec = { ...plainProcess(["echo", "hi"]), workingDirectory: "" };
const DIRECTORY = "/var/lib/b/workloads/a";

function heldOf(spec: SandboxSpec): GvisorBundle {
  return {
    version: 1,
    spec,
    identity: { kind: "gvisor", engine: "runsc", version: "1", emulated: false, traits: [] },
    runtime: { name: "runsc", path: "/usr/bin/runsc", arguments: ["--platform=ptrace"] },
    socket: "/run/b/s.sock",
    fileSources: ["/srv/file"],
  };
}

const configOf = (spec: SandboxSpec) => composeConfig(heldOf(spec), MAIN, { files: placesOf(DIRECTORY), accounts: { users: [], groups: [] } });
const bundleOf = (spec: SandboxSpec) => ({ version: 1, kind: "gvisor", workload: spec.workload, directory: DIRECTORY, driver: heldOf(spec) }) as const;

test("nothing of the host's kernel is mounted: every file system but files and binds is gVisor's own", () => {
  const { mounts, linux } = configOf(SPEC);
  expect(mounts.filter(({ type }) => type !== "bind").map(({ destination }) => destination)).toEqual(["/proc", "/dev", "/dev/pts", "/sys", "/dev/shm"]);
  expect(mounts.filter(({ type }) => type === "bind").map(({ destination }) => destination)).toEqual(["/etc/resolv.conf", "/etc/hostname", "/etc/hosts"]);
  expect(linux).toMatchObject({ devices: [], sysctl: {} });
  expect(linux.seccomp).toBeUndefined();
});

test("a read-only bind is asked for in the one word that runsc knows", () => {
  const { mounts } = configOf({ ...SPEC, mounts: [{ kind: "bind", source: "/srv", target: "/srv", readOnly: true }] });
  const bind = mounts.find(({ destination }) => destination === "/srv");
  expect(bind?.options).toContain("ro");
  expect(bind?.options).not.toContain("rro");
});

test("capabilities are those of gVisor's kernel, whatever the host has", () => {
  expect(configOf(SPEC).process.capabilities.bounding).toEqual(SECURITY.capabilities);
  expect(composePlan(bundleOf(SPEC), heldOf(SPEC), MAIN).engine).toMatchObject({
    kind: "oci",
    runtime: { name: "runsc", arguments: ["--platform=ptrace"] },
    execProcess: { capabilities: { bounding: SECURITY.capabilities }, noNewPrivileges: true },
    root: { lower: ["/store/2", "/store/1"] },
  });
});

test("a bundle of a later version is refused by name", () => {
  const later = { ...bundleOf(SPEC), driver: { ...heldOf(SPEC), version: 2 } };
  expect(() => readBundle(later)).toThrow(/newer Bulkhead/);
});

test.each<[string, Partial<SandboxSpec>, string, RegExp]>([
  ["the host's network", { network: { kind: "host" } }, "UNSUPPORTED", /network stack of its own/],
  ["a namespace of the host's", { security: { ...SECURITY, hostNamespaces: ["pid"] } }, "UNSUPPORTED", /pid namespace/],
  ["a device", { security: { ...SECURITY, devices: [{ hostPath: "/dev/fuse", path: "/dev/fuse", access: "rw" }] } }, "UNSUPPORTED", /\/dev\/fuse/],
  ["a seccomp profile of one's own", { security: { ...SECURITY, seccomp: { profile: "{}" } } }, "UNSUPPORTED", /seccomp/],
  ["an AppArmor profile", { security: { ...SECURITY, appArmor: "mine" } }, "UNSUPPORTED", /mine/],
  ["a sysctl", { sysctls: { "net.core.somaxconn": "1" } }, "UNSUPPORTED", /somaxconn/],
  ["a domain name", { domainName: "example.org" }, "UNSUPPORTED", /domain name/],
  ["too little memory", { limits: { memoryBytes: 16 * 1024 * 1024 } }, "INVALID_SPEC", /32 MiB/],
  [
    "shared mounts",
    { mounts: [{ kind: "bind", source: "/a", target: "/a", readOnly: false, propagation: "rshared" }] },
    "UNSUPPORTED",
    /cannot appear on the host/,
  ],
])("%s is refused by name, with a remedy", (_, change, code, text) => {
  expect(() => checkSpec({ ...SPEC, ...change })).toThrow(text);
  try {
    checkSpec({ ...SPEC, ...change });
  } catch (thrown) {
    expect(thrown).toMatchObject({ code, boundary: "gvisor", remedy: expect.stringMatching(/./) });
  }
});

test("what gVisor carries passes", () => {
  const security = { ...SECURITY, privileged: true, seccomp: "unconfined", appArmor: "unconfined" } as const;
  expect(checkSpec({ ...SPEC, security, limits: { memoryBytes: 64 * 1024 * 1024, pids: 12, cpus: 0.5 } }).form).toBe("directories");
});
