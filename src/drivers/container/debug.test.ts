import { expect, test } from "vitest";
import { plainProcess } from "../../contract/process.ts";
import type { SandboxSpec, SecuritySpec } from "../../contract/spec.ts";
import type { OciConfig } from "../oci/oci-config.ts";
import type { ContainerBundle } from "./bundle.ts";
import { composeDebug } from "./debug.ts";

const SECURITY: SecuritySpec = {
  privileged: false,
  capabilities: ["CAP_SETUID", "CAP_SETGID"],
  noNewPrivileges: true,
  seccomp: "default",
  readOnlyRoot: true,
  maskedPaths: ["/proc/kcore"],
  readOnlyPaths: ["/proc/sys"],
  hostNamespaces: [],
  devices: [],
};
const SPEC: SandboxSpec = {
  workload: "a".repeat(64),
  root: { form: "directories", layers: ["/store/own"] },
  hostname: "box",
  domainName: "corp",
  hosts: "",
  resolvConf: "",
  mounts: [{ kind: "tmpfs", target: "/data", readOnly: false, options: [] }],
  network: { kind: "none" },
  limits: {},
  rlimits: [{ name: "RLIMIT_NOFILE", soft: 10, hard: 20 }],
  sysctls: { "net.core.somaxconn": "1" },
  shmBytes: 65536,
  security: SECURITY,
  init: true,
  log: { kind: "none" },
};

function orderOf(security: Partial<SecuritySpec> = {}, ownIds = true) {
  const held: ContainerBundle = {
    version: 1,
    spec: { ...SPEC, security: { ...SECURITY, ...security } },
    identity: { kind: "container", engine: "crun", version: "1.8.1", emulated: false, traits: [] },
    runtime: { name: "crun", path: "/usr/bin/crun", arguments: [] },
    socket: "/run/b/s.sock",
    devices: [{ type: "c", path: "/dev/kvm", major: 10, minor: 232, fileMode: 0o660, uid: 0, gid: 0 }],
    fileSources: [],
    hostCapabilities: [],
    ownIds,
  };
  const bundle = { version: 1, kind: "container", workload: SPEC.workload, directory: "/w", driver: held } as const;
  const given = {
    process: { ...plainProcess(["sh", "-c", "x"]), terminal: true },
    tools: { form: "directories", layers: ["/store/tools"] },
    seccomp: undefined,
  } as const;
  return composeDebug(bundle, held, given);
}
const configOf = (...how: Parameters<typeof orderOf>) => orderOf(...how).tools?.config as OciConfig;

test("the command lies in the configuration alone, so that a supervisor that does not know tools runs nothing", () => {
  const order = orderOf();
  expect(order.command).toEqual([]);
  expect(order.tools?.lower).toEqual(["/store/tools"]);
  expect(configOf().process).toMatchObject({ args: ["sh", "-c", "x"], terminal: true, user: { uid: 0, gid: 0 }, noNewPrivileges: true });
});

test("its guards are the workload's, and what belongs to the workload's root or to namespaces that it joins is left out", () => {
  const config = configOf();
  expect(config.linux).toMatchObject({ maskedPaths: ["/proc/kcore"], readonlyPaths: ["/proc/sys"], devices: [], sysctl: {} });
  expect(config.linux.namespaces.map(({ type }) => type)).toEqual(["mount", "pid", "ipc", "uts", "cgroup", "user"]);
  expect(config.process.rlimits).toEqual([{ type: "RLIMIT_NOFILE", soft: 10, hard: 20 }]);
  expect([config.hostname, config.domainname, config.root.readonly]).toEqual([undefined, undefined, false]);
  const targets = config.mounts.map(({ destination }) => destination);
  expect(targets).toEqual(expect.arrayContaining(["/proc", "/sys", "/dev", "/etc/hosts", "/etc/resolv.conf"]));
  for (const absent of ["/data", "/sys/fs/cgroup", "/sbin/docker-init"]) expect(targets).not.toContain(absent);
});

const bounding = (...how: Parameters<typeof orderOf>) => configOf(...how).process.capabilities.bounding;

test("it may look into processes of other users only where root could become them, within ids of the workload's own", () => {
  expect(bounding()).toEqual(["CAP_SETUID", "CAP_SETGID", "CAP_SYS_PTRACE"]);
  expect(bounding({}, false)).toEqual(["CAP_SETUID", "CAP_SETGID"]);
  expect(bounding({ capabilities: ["CAP_SETUID"] })).toEqual(["CAP_SETUID"]);
  expect(bounding({ capabilities: [] })).toEqual([]);
});

test("nothing is prepared beside a workload that may trace what prepares it on the host", () => {
  expect(() => orderOf({ capabilities: ["CAP_SYS_PTRACE"] }, false)).toThrow(/could take over what prepares a debug session/);
  expect(bounding({ capabilities: ["CAP_SYS_PTRACE"] })).toEqual(["CAP_SYS_PTRACE"]);
});
