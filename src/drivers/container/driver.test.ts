import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Call, plainCall } from "../../contract/call.ts";
import type { BoundaryDriver, Bundle } from "../../contract/driver.ts";
import type { LaunchPlan } from "../../contract/launch-plan.ts";
import { plainProcess, type ProcessSpec } from "../../contract/process.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { LauncherClient } from "../../host/launcher-client.ts";
import { type Asked, exitRecord, FakeSupervisor, type Reply } from "../../host/testkit/fake-supervisor.ts";
import { createContainerDriver } from "./driver.ts";

const WORKLOAD = "c".repeat(64);
const MAIN: ProcessSpec = { ...plainProcess(["true"]), user: "app" };
let root: string;
let launcher: FakeSupervisor;
let client: LauncherClient;
let supervisors: FakeSupervisor[];
let driver: BoundaryDriver;
let call: Call;
/** What the launcher does with a launch: by default it raises a supervisor whose main process exits with 0 once started. */
let onLaunch: (plan: LaunchPlan) => Promise<Reply>;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "bulkhead-driver-"));
  supervisors = [];
  onLaunch = async (plan) => {
    const supervisor = new FakeSupervisor(plan.socket);
    supervisors.push(supervisor);
    supervisor.answer = (ask) => {
      if (ask.verb === "start") setImmediate(() => (supervisor.exit(0, 0), supervisor.end(exitRecord(0))));
      return "default";
    };
    await supervisor.listen();
    return { ok: { supervisorPid: 1, mainPid: 77 } };
  };
  launcher = new FakeSupervisor(join(root, "l.sock"));
  launcher.hello = { version: 1, pid: process.pid, rootId: "0a1b2c", cgroup: "v1" };
  launcher.answer = answerLauncher;
  await launcher.listen();
  call = plainCall();
  client = new LauncherClient({ socket: launcher.path, log: call.log });
  driver = createContainerDriver({ launcher: client, root, sockets: join(root, "s"), findProgram: (name) => `/usr/bin/${name}` });
});
afterEach(async () => {
  client.close();
  for (const server of [launcher, ...supervisors]) await server.die();
  rmSync(root, { recursive: true, force: true });
});

function answerLauncher(ask: Asked): Reply | "default" {
  if (ask.verb === "probe") return { ok: { works: true, detail: `${String(ask["what"])} worked` } };
  if (ask.verb === "appArmor") return { ok: { profile: null } };
  if (ask.verb === "run") return { ok: { code: 0, stdout: "crun version 9.9\n", stderr: "" } };
  if (ask.verb !== "launch") return "default";
  void onLaunch(ask["plan"] as LaunchPlan).then((reply) => reply !== undefined && launcher.reply(ask.id, reply));
  return undefined;
}

function specOf(change: Partial<SandboxSpec> = {}): SandboxSpec {
  const layer = join(root, "layer");
  mkdirSync(join(layer, "etc"), { recursive: true });
  writeFileSync(join(layer, "etc/passwd"), "app:x:1000:1000::/home/app:\n");
  return {
    workload: WORKLOAD,
    root: { form: "directories", layers: [layer] },
    hostname: "box",
    hosts: "127.0.0.1 localhost\n",
    resolvConf: "nameserver 9.9.9.9\n",
    mounts: [],
    network: { kind: "none" },
    limits: {},
    rlimits: [],
    sysctls: {},
    shmBytes: 1,
    security: {
      privileged: false,
      capabilities: [],
      noNewPrivileges: true,
      seccomp: "default",
      readOnlyRoot: false,
      maskedPaths: [],
      readOnlyPaths: [],
      hostNamespaces: [],
      devices: [],
    },
    init: false,
    log: { kind: "none" },
    ...change,
  };
}

const directoryOf = () => join(root, "workloads", WORKLOAD);
const prepare = (change: Partial<SandboxSpec> = {}): Promise<Bundle> => driver.prepare(specOf(change), directoryOf(), call);

test("a host where a trial container ran is usable, and says by what", async () => {
  const report = await driver.probe(call);
  expect(report).toMatchObject({
    usable: true,
    identity: { kind: "container", engine: "crun", version: "9.9", emulated: false },
    facets: ["exec", "pause", "resize", "top", "files", "debug"],
  });
  expect(report.findings.map(({ level }) => level)).not.toContain("missing");
  expect(
    launcher.asked.filter(({ verb }) => verb === "remove"),
    "the trial is removed",
  ).toHaveLength(1);
});

test("without a launcher nothing is usable, and create says so with the remedy", async () => {
  await launcher.die();
  const report = await driver.probe(call);
  expect(report).toMatchObject({ usable: false, facets: [], findings: [{ id: "launcher-answers", level: "missing" }] });
  await expect(prepare()).rejects.toMatchObject({ code: "UNAVAILABLE", remedy: expect.stringContaining("bulkhead-launcher") });
});

test("runc is taken where crun cannot run a container, and why is told", async () => {
  onLaunch = async (plan) => {
    const name = plan.engine.kind === "oci" ? plan.engine.runtime.name : "";
    if (name === "crun") return { failure: { code: "UNAVAILABLE", what: "cgroups in hybrid mode not supported" } };
    const supervisor = new FakeSupervisor(plan.socket);
    supervisors.push(supervisor);
    supervisor.answer = (ask) => {
      if (ask.verb === "start") setImmediate(() => supervisor.end(exitRecord(0)));
      return "default";
    };
    await supervisor.listen();
    return { ok: { supervisorPid: 1, mainPid: 77 } };
  };
  const report = await driver.probe(call);
  expect(report).toMatchObject({ usable: true, identity: { engine: "runc" } });
  expect(report.findings.find(({ id }) => id === "crun-runs")).toMatchObject({ level: "warning", what: expect.stringContaining("hybrid") });
});

test("where no container runs with ids of its own, all have the host's: told with the remedy, said by the traits, and asked of no launcher", async () => {
  const raise = onLaunch;
  const plans: LaunchPlan[] = [];
  onLaunch = async (plan) => {
    plans.push(plan);
    const own = plan.engine.kind === "oci" && plan.engine.ownIds === true;
    return own ? { failure: { code: "UNAVAILABLE", what: "the file system maps no owners", remedy: "keep the root on ext4" } } : raise(plan);
  };
  const report = await driver.probe(call);
  expect(report).toMatchObject({ usable: true, identity: { engine: "crun" } });
  expect(report.identity?.traits).toContain("host-ids");
  expect(report.findings.find(({ id }) => id === "user-namespaces-work")).toMatchObject({ level: "warning", remedy: "keep the root on ext4" });
  await driver.launch(await prepare(), MAIN, call);
  expect(plans.map(({ version }) => version)).toEqual([2, 1, 1]);
});

test("a workload has ids of its own, by a plan that older launchers refuse, unless it asks for the host's; a user beyond them is refused", async () => {
  const plans: LaunchPlan[] = [];
  const raise = onLaunch;
  onLaunch = (plan) => (plans.push(plan), raise(plan));
  await driver.probe(call);
  const own = await driver.launch(await prepare(), MAIN, call);
  expect(own.identity.traits).toContain("user-namespace");
  const security = { ...specOf().security, hostNamespaces: ["user"] as const };
  const hosts = await driver.launch(await prepare({ security }), { ...MAIN, user: "70000" }, call);
  expect(hosts.identity.traits).toContain("host-ids");
  expect(plans.map(({ version }) => version)).toEqual([2, 2, 1]);
  await expect(driver.launch(await prepare(), { ...MAIN, user: "70000" }, call)).rejects.toMatchObject({ code: "INVALID_SPEC" });
});

test("a launcher that dies during the probe is no fault of crun's: the next one is asked", async () => {
  const raise = onLaunch;
  let deaths = 0;
  onLaunch = (plan) => {
    if (deaths++ > 0) return raise(plan);
    launcher.hello = { ...launcher.hello, pid: process.ppid };
    launcher.drop();
    return Promise.resolve(undefined);
  };
  const { identity } = await driver.probe(call);
  expect(identity?.engine).toBe("crun");
  expect(identity?.traits).toContain("user-namespace");
});

test("a mechanism that fails is told with its remedy, before any container is tried", async () => {
  launcher.answer = (ask) => (ask.verb === "probe" && ask["what"] === "overlay" ? { ok: { works: false, detail: "no overlay here" } } : answerLauncher(ask));
  const report = await driver.probe(call);
  expect(report.usable).toBe(false);
  expect(report.findings.find(({ id }) => id === "overlay-work")).toMatchObject({
    level: "missing",
    what: "no overlay here",
    remedy: expect.stringContaining("modprobe"),
  });
  expect(launcher.asked.some(({ verb }) => verb === "launch")).toBe(false);
});

test("prepare writes what is shown inside, keeps what the workload wrote, and its bundle is plain data", async () => {
  const bundle = await prepare();
  expect(readFileSync(join(directoryOf(), "hosts"), "utf8")).toBe("127.0.0.1 localhost\n");
  expect(readFileSync(join(directoryOf(), "hostname"), "utf8")).toBe("box\n");
  expect(statSync(join(directoryOf(), "written/upper")).mode & 0o777).toBe(0o755);
  expect(statSync(join(directoryOf(), "written")).mode & 0o777, "a set-uid file in it is nobody's to run").toBe(0o700);
  writeFileSync(join(directoryOf(), "written/upper/file"), "kept");
  await prepare({ hosts: "changed\n" });
  expect(readFileSync(join(directoryOf(), "written/upper/file"), "utf8")).toBe("kept");
  expect(readFileSync(join(directoryOf(), "hosts"), "utf8")).toBe("changed\n");
  expect(JSON.parse(JSON.stringify(bundle))).toEqual(bundle);
});

test.each([
  ["a sysctl of the host", { sysctls: { "vm.swappiness": "1" } }],
  ["a device that is none", { security: { devices: [{ hostPath: "/etc/passwd", path: "/dev/x", access: "r" }] } }],
  ["a mount on the root", { mounts: [{ kind: "tmpfs" as const, target: "/", readOnly: false, options: [] }] }],
])("%s is refused at prepare", async (_title, change) => {
  const spec = specOf();
  const merged = { ...change, ...("security" in change ? { security: { ...spec.security, ...change.security } } : {}) } as Partial<SandboxSpec>;
  await expect(prepare(merged)).rejects.toMatchObject({ code: "INVALID_SPEC" });
});

test("a launched container runs under its supervisor until its end", async () => {
  const sandbox = await driver.launch(await prepare(), MAIN, call);
  expect(sandbox.main.hostPid).toBe(77);
  const config = JSON.parse(readFileSync(join(directoryOf(), "bundle/config.json"), "utf8"));
  expect(config.process.user).toEqual({ uid: 1000, gid: 1000, additionalGids: [] });
  expect(statSync(join(directoryOf(), "bundle/config.json")).mode & 0o777, "it holds the environment").toBe(0o600);
  await sandbox.start(call);
  expect(await sandbox.ended).toMatchObject({ kind: "exited", status: { code: 0 } });
});

test("a refused launch keeps its reason and leaves no trace of a launch", async () => {
  const bundle = await prepare();
  onLaunch = async () => ({ failure: { code: "EXHAUSTED", what: "no memory" } });
  await expect(driver.launch(bundle, MAIN, call)).rejects.toMatchObject({ code: "EXHAUSTED" });
  expect(await driver.adopt(bundle, call)).toEqual({ state: "not-launched" });
});

test.each([
  ["COMMAND_NOT_FOUND", 127],
  ["COMMAND_NOT_EXECUTABLE", 126],
] as const)("%s is told at start, as behind every boundary, and the sandbox ends with %i", async (code, status) => {
  const bundle = await prepare();
  onLaunch = async () => ({ failure: { code, what: "no such program" } });
  const sandbox = await driver.launch(bundle, MAIN, call);
  const attachment = await sandbox.main.attach({ stdin: false, stdout: true, stderr: true }, call);
  await expect(sandbox.stats(call)).rejects.toMatchObject({ code: "WRONG_STATE" });
  await expect(sandbox.start(call)).rejects.toMatchObject({ code, workload: WORKLOAD, boundary: "container" });
  expect(await sandbox.ended).toMatchObject({ kind: "exited", status: { code: status } });
  expect((await attachment.output[Symbol.asyncIterator]().next()).done).toBe(true);
  expect(Object.keys(sandbox)).toEqual(expect.arrayContaining(["exec", "pause", "resize", "top"]));
  expect(await driver.adopt(bundle, call)).toEqual({ state: "not-launched" });
});

test("a second launch first sees the supervisor of the first gone", async () => {
  const bundle = await prepare();
  const first = await driver.launch(bundle, MAIN, call);
  await first.start(call);
  await first.ended;
  await driver.launch(bundle, MAIN, call);
  expect(launcher.asked.map(({ verb }) => verb).slice(-3)).toEqual(["launch", "remove", "launch"]);
});

test("adoption tells standing, ended, lost and never launched apart", async () => {
  const bundle = await prepare();
  expect(await driver.adopt(bundle, call)).toEqual({ state: "not-launched" });
  const sandbox = await driver.launch(bundle, MAIN, call);
  expect(await driver.adopt(bundle, call)).toMatchObject({ state: "standing", main: "held" });
  const supervisor = supervisors.at(-1) as FakeSupervisor;
  supervisor.answer = () => "default";
  await sandbox.start(call);
  await supervisor.die();
  expect(await driver.adopt(bundle, call)).toMatchObject({ state: "ended", started: true, reason: { kind: "boundary-lost", status: { code: 137 } } });
  expect(launcher.asked.at(-1)).toMatchObject({ verb: "remove", keepDirectory: true });
  writeFileSync(join(directoryOf(), "exit.json"), JSON.stringify(exitRecord(9)));
  expect(await driver.adopt(bundle, call)).toMatchObject({ state: "ended", started: true, reason: { kind: "exited", status: { code: 9 } } });
});

test("a later launch forgets how the earlier one ended", async () => {
  const bundle = await prepare();
  writeFileSync(join(directoryOf(), "exit.json"), JSON.stringify(exitRecord(9)));
  await driver.launch(bundle, MAIN, call);
  expect(existsSync(join(directoryOf(), "exit.json"))).toBe(false);
});

test("remove needs no bundle, only the place", async () => {
  await driver.remove({ kind: "container", workload: WORKLOAD, directory: directoryOf() }, call);
  expect(launcher.asked.at(-1)).toMatchObject({ verb: "remove", workload: WORKLOAD, directory: directoryOf(), keepDirectory: false });
});

test("a bundle from the future is refused", async () => {
  const bundle = await prepare();
  await expect(driver.launch({ ...bundle, driver: { version: 2 } }, MAIN, call)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  expect(dirname(bundle.directory)).toBe(join(root, "workloads"));
});

test("a writable layer that is too small for a filesystem is refused by name, before anything is made", async () => {
  const refused = prepare({ limits: { diskBytes: 64 * 1024 } });
  await expect(refused).rejects.toMatchObject({
    code: "INVALID_SPEC",
    message: expect.stringContaining("cannot be smaller"),
    remedy: expect.stringContaining("--storage-opt"),
  });
  expect(existsSync(directoryOf())).toBe(false);
  expect(launcher.asked).toHaveLength(0);
});
