import { expect, test } from "vitest";
import { plainProcess, type ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec, SecuritySpec } from "../../contract/spec.ts";
import { parseAccounts } from "../oci/accounts.ts";
import { placesOf } from "../oci/bundle.ts";
import { type ContainerBundle, composeConfig, composePlan, composeSeccomp } from "./bundle.ts";
import type { OciConfig, OciMount } from "../oci/oci-config.ts";
import { grantCapabilities, namesOf } from "./capabilities.ts";
import { composeExec, guardsOf } from "../oci/process.ts";

const HOST = { architecture: "amd64", kernelMajor: 6, kernelMinor: 1 };
const SECURITY: SecuritySpec = {
  privileged: false,
  capabilities: ["CAP_CHOWN", "CAP_KILL"],
  noNewPrivileges: true,
  seccomp: "default",
  readOnlyRoot: false,
  maskedPaths: ["/proc/kcore"],
  readOnlyPaths: ["/proc/sys"],
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
  shmBytes: 67108864,
  security: SECURITY,
  init: false,
  log: { kind: "none" },
};
const MAIN: ProcessSpec = { ...plainProcess(["echo", "hi"]), workingDirectory: "" };
const ACCOUNTS = parseAccounts("root:x:0:0::/root:\napp:x:1000:1000::/home/app:", "wheel:x:10:root");
const ALL_CAPABILITIES = namesOf((1n << 41n) - 1n);
const DIRECTORY = "/var/lib/b/workloads/a";
const PLACES = placesOf(DIRECTORY);

function bundleOf(spec: SandboxSpec): ContainerBundle {
  return {
    version: 1,
    spec,
    identity: { kind: "container", engine: "crun", version: "1.8.1", emulated: false, traits: [] },
    runtime: { name: "crun", path: "/usr/bin/crun", arguments: [] },
    socket: "/run/b/s.sock",
    devices: [],
    fileSources: ["/host-file"],
    hostCapabilities: ALL_CAPABILITIES,
  };
}

function configOf(change: Partial<SandboxSpec> = {}, main: Partial<ProcessSpec> = {}, security: Partial<SecuritySpec> = {}): OciConfig {
  const spec = { ...SPEC, ...change, security: { ...SECURITY, ...security } };
  const files = { hosts: PLACES.hosts, hostname: PLACES.hostname, resolvConf: PLACES.resolvConf, ...(spec.init ? { init: "/usr/bin/tini-static" } : {}) };
  return composeConfig(bundleOf(spec), { ...MAIN, ...main }, { files, accounts: ACCOUNTS, seccomp: composeSeccomp(spec, HOST) });
}

const mountAt = (config: OciConfig, destination: string): OciMount | undefined => config.mounts.find((mount) => mount.destination === destination);

test("a plain workload gets Docker's guards and files", () => {
  const config = configOf();
  expect(config.process).toEqual({
    terminal: false,
    user: { uid: 0, gid: 0, additionalGids: [10] },
    args: ["echo", "hi"],
    env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=box", "HOME=/root"],
    cwd: "/",
    capabilities: { bounding: SECURITY.capabilities, effective: SECURITY.capabilities, permitted: SECURITY.capabilities },
    rlimits: [],
    noNewPrivileges: true,
  });
  expect(config.root).toEqual({ path: "rootfs", readonly: false });
  expect(config.hostname).toBe("box");
  expect(config.mounts.map((mount) => mount.destination)).toEqual([
    "/proc",
    "/dev",
    "/dev/pts",
    "/sys",
    "/sys/fs/cgroup",
    "/dev/mqueue",
    "/dev/shm",
    "/etc/resolv.conf",
    "/etc/hostname",
    "/etc/hosts",
  ]);
  expect(mountAt(config, "/dev/shm")?.options).toContain("size=67108864");
  expect(mountAt(config, "/sys")?.options).toContain("ro");
  expect(mountAt(config, "/etc/hosts")?.source).toBe(PLACES.hosts);
  expect(config.linux.namespaces.map(({ type }) => type)).toEqual(["mount", "pid", "ipc", "uts", "cgroup"]);
  expect(config.linux.maskedPaths).toEqual(["/proc/kcore"]);
  expect(config.linux.readonlyPaths).toEqual(["/proc/sys", "/sys/fs/cgroup"]);
  expect(config.linux.seccomp?.defaultAction).toBe("SCMP_ACT_ERRNO");
});

test.each([
  ["--env replaces defaults", { environment: ["PATH=/x", "HOME=/y", "A=1=2", "EMPTY="] }, ["PATH=/x", "HOSTNAME=box", "HOME=/y", "A=1=2", "EMPTY="]],
  ["--env NAME takes away", { environment: ["A=1", "A"] }, ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=box", "HOME=/root"]],
  ["-t sets TERM", { terminal: true }, ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=box", "TERM=xterm", "HOME=/root"]],
  ["--user sets HOME", { user: "app" }, ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=box", "HOME=/home/app"]],
])("environment: %s", (_title, main, expected) => {
  expect(configOf({}, main).process.env).toEqual(expected);
});

test("terminal, working directory, rlimits, oom score and AppArmor reach the process", () => {
  const rlimits = [{ name: "RLIMIT_NOFILE", soft: 10, hard: 20 }];
  const { process } = configOf(
    { rlimits, limits: { oomScoreAdjust: 500 } },
    { terminal: true, terminalSize: { rows: 24, columns: 80 }, workingDirectory: "/srv" },
    { appArmor: "strict" },
  );
  expect(process).toMatchObject({ terminal: true, consoleSize: { height: 24, width: 80 }, cwd: "/srv", oomScoreAdj: 500, apparmorProfile: "strict" });
  expect(process.rlimits).toEqual([{ type: "RLIMIT_NOFILE", soft: 10, hard: 20 }]);
  expect(configOf({}, {}, { appArmor: "unconfined" }).process).not.toHaveProperty("apparmorProfile");
});

test.each([
  ["-v", { kind: "bind", source: "/host", target: "/data", readOnly: false }, ["rbind", "rprivate"]],
  ["-v :ro", { kind: "bind", source: "/host", target: "/data", readOnly: true }, ["rbind", "rprivate", "ro", "rro"]],
  ["-v FILE :ro", { kind: "bind", source: "/host-file", target: "/data", readOnly: true }, ["rbind", "rprivate", "ro"]],
  ["-v :rshared", { kind: "bind", source: "/host", target: "/data", readOnly: false, propagation: "rshared" }, ["rbind", "rshared"]],
  ["--tmpfs", { kind: "tmpfs", target: "/data", readOnly: false, options: [] }, ["noexec", "nosuid", "nodev"]],
  ["--tmpfs :exec", { kind: "tmpfs", target: "/data", readOnly: false, options: ["exec"] }, ["nosuid", "nodev", "exec"]],
  [
    "--mount type=tmpfs",
    { kind: "tmpfs", target: "/data", readOnly: true, sizeBytes: 4096, mode: 0o1700, options: [] },
    ["noexec", "nosuid", "nodev", "ro", "size=4096", "mode=1700"],
  ],
] as const)("%s becomes a mount", (_title, mount, options) => {
  expect(mountAt(configOf({ mounts: [mount] }), "/data")?.options).toEqual(options);
});

test("outer mounts come before inner ones, and a workload's own replace the defaults", () => {
  const bind = (target: string) => ({ kind: "bind" as const, source: "/h", target, readOnly: false });
  const config = configOf({ mounts: [bind("/a/b/c"), bind("/a/./b/"), bind("/dev/shm"), bind("/etc/hosts"), bind("/a")] });
  const own = config.mounts.filter((mount) => mount.source === "/h").map((mount) => mount.destination);
  expect(own).toEqual(["/a", "/a/b", "/dev/shm", "/etc/hosts", "/a/b/c"]);
  expect(config.mounts.filter((mount) => mount.destination === "/dev/shm")).toHaveLength(1);
  expect(
    configOf({ mounts: [bind("/etc")] })
      .mounts.slice(-4)
      .map((mount) => mount.destination),
  ).toEqual(["/etc", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts"]);
  const overDev = configOf({ mounts: [bind("/dev")] });
  expect(overDev.mounts.filter((mount) => mount.destination.startsWith("/dev"))).toHaveLength(1);
});

test.each(["relative", "/", "/a/..", ""])("mounting on %j is refused", (target) => {
  expect(() => configOf({ mounts: [{ kind: "tmpfs", target, readOnly: false, options: [] }] })).toThrow(expect.objectContaining({ code: "INVALID_SPEC" }));
});

test("shared and slave binds widen the root's propagation, others leave it", () => {
  const mounts = (propagation: "shared" | "rslave" | "private") => [{ kind: "bind" as const, source: "/h", target: "/d", readOnly: false, propagation }];
  expect(configOf({ mounts: mounts("shared") }).linux.rootfsPropagation).toBe("shared");
  expect(configOf({ mounts: mounts("rslave") }).linux.rootfsPropagation).toBe("rslave");
  expect(configOf({ mounts: mounts("private") }).linux).not.toHaveProperty("rootfsPropagation");
});

test("ids of its own: a user namespace without a path, devices left to the supervisor, groups that the namespace has, a domain name by the call", () => {
  const device = { type: "c", path: "/dev/fuse", major: 10, minor: 229, fileMode: 0o666, uid: 0, gid: 0 } as const;
  const composed = (ownIds: boolean) => {
    const held = { ...bundleOf({ ...SPEC, domainName: "corp" }), ownIds, devices: [device] };
    return composeConfig(held, MAIN, { files: PLACES, accounts: ACCOUNTS, seccomp: undefined });
  };
  const own = composed(true);
  expect(own.linux.namespaces).toContainEqual({ type: "user" });
  expect(own.linux.devices).toEqual([]);
  expect(own.linux.sysctl).toEqual({ "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 65535" });
  expect(own.domainname).toBe("corp");
  const hosts = composed(false);
  expect(hosts.linux.namespaces).not.toContainEqual({ type: "user" });
  expect(hosts.linux.devices).toEqual([device]);
  expect(hosts.linux.sysctl).toMatchObject({ "kernel.domainname": "corp", "net.ipv4.ping_group_range": "0 2147483647" });
  expect(hosts).not.toHaveProperty("domainname");
});

test("--privileged opens /sys and drops the filter", () => {
  const config = configOf({}, {}, { privileged: true, capabilities: ALL_CAPABILITIES, maskedPaths: [], readOnlyPaths: [] });
  expect(mountAt(config, "/sys")?.options).toContain("rw");
  expect(mountAt(config, "/sys/fs/cgroup")?.options).toContain("rw");
  expect(config.linux).not.toHaveProperty("seccomp");
});

test("host namespaces are not made", () => {
  const config = configOf({}, {}, { hostNamespaces: ["pid", "ipc", "uts"] });
  expect(config.linux.namespaces.map(({ type }) => type)).toEqual(["mount", "cgroup"]);
  expect(config).not.toHaveProperty("hostname");
  expect(mountAt(config, "/dev/shm")).toMatchObject({ type: "bind", source: "/dev/shm" });
});

test("--sysctl sets what is the container's own and refuses what is the host's", () => {
  expect(configOf({ sysctls: { "net.core.somaxconn": "9", "kernel.shmmax": "1" } }).linux.sysctl).toMatchObject({
    "net.core.somaxconn": "9",
    "kernel.shmmax": "1",
  });
  expect(configOf({ domainName: "corp" }).linux.sysctl["kernel.domainname"]).toBe("corp");
  expect(configOf({ network: { kind: "host" } }).linux.sysctl).toEqual({});
  expect(() => configOf({ sysctls: { "vm.swappiness": "1" } })).toThrow(/belongs to the whole host/);
  expect(() => configOf({ sysctls: { "net.core.somaxconn": "9" }, network: { kind: "host" } })).toThrow(expect.objectContaining({ code: "INVALID_SPEC" }));
  expect(() => configOf({ sysctls: { "kernel.sem": "9" } }, {}, { hostNamespaces: ["ipc"] })).toThrow(/host's ipc namespace/);
});

test("--init runs the command under the init that is bound in", () => {
  const config = configOf({ init: true });
  expect(config.process.args).toEqual(["/sbin/docker-init", "--", "echo", "hi"]);
  expect(mountAt(config, "/sbin/docker-init")).toMatchObject({ source: "/usr/bin/tini-static", options: ["rbind", "rprivate", "ro"] });
});

test("--read-only makes the root read-only, and seccomp=unconfined leaves no filter", () => {
  expect(configOf({}, {}, { readOnlyRoot: true }).root.readonly).toBe(true);
  expect(configOf({}, {}, { seccomp: "unconfined" }).linux).not.toHaveProperty("seccomp");
  expect(configOf({}, {}, { seccomp: { profile: '{"defaultAction":"SCMP_ACT_LOG"}' } }).linux.seccomp?.defaultAction).toBe("SCMP_ACT_LOG");
});

test("the plan carries what the supervisor does, and nothing of the run but its stdio", () => {
  const limits = { memoryBytes: 1 << 26, cpus: 0.5, pids: 10 };
  const devices = [{ hostPath: "/dev/fuse", path: "/dev/fuse", access: "rwm" }];
  const spec = { ...SPEC, limits, security: { ...SECURITY, devices } };
  const bundle = { version: 1 as const, kind: "container" as const, workload: SPEC.workload, directory: DIRECTORY, driver: undefined };
  const plan = composePlan(bundle, bundleOf(spec), { ...MAIN, environment: ["SECRET=1"], stdin: true, stdinOnce: true }, composeSeccomp(spec, HOST));
  expect(plan).toMatchObject({ limits, devices, allDevices: false, socket: "/run/b/s.sock", main: { terminal: false, stdin: true, stdinOnce: true } });
  expect(plan.engine).toMatchObject({ kind: "oci", root: { lower: ["/store/2", "/store/1"], upper: PLACES.upper, work: PLACES.work } });
  expect(JSON.stringify(plan)).not.toContain("SECRET");
});

test("an exec is told in numbers, with the sandbox's guards, and privileged only where asked", () => {
  const exec = composeExec({ ...MAIN, user: "app", environment: ["B=2"] }, guardsOf(SPEC, ALL_CAPABILITIES), ACCOUNTS);
  expect(exec).toMatchObject({ user: "1000:1000", capabilities: SECURITY.capabilities, noNewPrivileges: true, init: false });
  expect(exec.environment).toContain("HOME=/home/app");
  expect(composeExec({ ...MAIN, privileged: true }, guardsOf(SPEC, ALL_CAPABILITIES), ACCOUNTS).capabilities).toEqual(ALL_CAPABILITIES);
});

test("a privileged workload gets what the host has, and a named capability that it lacks is refused by name", () => {
  const few = namesOf(0b11n);
  expect(few).toEqual(["CAP_CHOWN", "CAP_DAC_OVERRIDE"]);
  expect(ALL_CAPABILITIES).toHaveLength(41);
  expect(grantCapabilities({ ...SPEC, security: { ...SECURITY, privileged: true } }, few)).toEqual(few);
  expect(grantCapabilities(SPEC, ALL_CAPABILITIES)).toEqual(SECURITY.capabilities);
  expect(() => grantCapabilities(SPEC, few)).toThrow(expect.objectContaining({ code: "UNAVAILABLE", message: expect.stringContaining("CAP_KILL") }));
});
