import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { plainCall } from "../../contract/call.ts";
import type { BoundaryDriver } from "../../contract/driver.ts";
import type { LaunchPlan } from "../../contract/launch-plan.ts";
import { LauncherClient } from "../../host/launcher-client.ts";
import { type Asked, exitRecord, FakeSupervisor, type Reply } from "../../host/testkit/fake-supervisor.ts";
import { createTrialSpec } from "../../host/trial-spec.ts";
import { createGvisorDriver, type GvisorDriverOptions } from "./driver.ts";

const call = plainCall();
let root: string;
let launcher: FakeSupervisor;
let client: LauncherClient;
let supervisors: FakeSupervisor[];
let launched: string[];
/** Platforms on which the trial's sandbox comes up. */
let working: readonly string[];
let refuseOwnIds: boolean;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "bulkhead-gvisor-"));
  supervisors = [];
  launched = [];
  working = ["ptrace"];
  refuseOwnIds = false;
  launcher = new FakeSupervisor(join(root, "l.sock"));
  launcher.hello = { version: 1, pid: process.pid, rootId: "0a1b2c", cgroup: "v1" };
  launcher.answer = (ask) => answerLauncher(ask);
  await launcher.listen();
  client = new LauncherClient({ socket: launcher.path, log: call.log });
});
afterEach(async () => {
  client.close();
  for (const server of [launcher, ...supervisors]) await server.die();
  rmSync(root, { recursive: true, force: true });
});

const open = (changes: Partial<GvisorDriverOptions> = {}): BoundaryDriver =>
  createGvisorDriver({ launcher: client, root, sockets: join(root, "s"), findProgram: (name) => `/usr/bin/${name}`, ...changes });

function answerLauncher(ask: Asked): Reply | "default" {
  if (ask.verb === "run") return { ok: { code: 0, stdout: "runsc version release-20990101.0\nspec: 1.1.0\n", stderr: "  -overlay2 value\n" } };
  if (ask.verb !== "launch") return "default";
  void onLaunch(ask["plan"] as LaunchPlan).then((reply) => launcher.reply(ask.id, reply));
  return undefined;
}

async function onLaunch(plan: LaunchPlan): Promise<NonNullable<Reply>> {
  const platform = plan.engine.kind === "oci" ? (plan.engine.runtime.arguments[0] ?? "").replace("--platform=", "") : "";
  launched.push(platform);
  if (refuseOwnIds && plan.engine.kind === "oci" && plan.engine.ownIds === true) return { failure: { code: "UNAVAILABLE", what: "no owners are mapped" } };
  if (!working.includes(platform)) return { failure: { code: "INTERNAL", what: `runsc could not create the sandbox: unknown platform: ${platform}` } };
  const supervisor = new FakeSupervisor(plan.socket);
  supervisors.push(supervisor);
  supervisor.answer = (ask) => {
    if (ask.verb === "start") setImmediate(() => supervisor.end(exitRecord(0)));
    return "default";
  };
  await supervisor.listen();
  return { ok: { supervisorPid: 1, mainPid: 77 } };
}

test("systrap is tried before ptrace, and what runs is what identity and traits say", async () => {
  const report = await open().probe(call);
  expect(launched).toEqual(["systrap", "systrap", "ptrace"]);
  expect(report).toMatchObject({
    usable: true,
    identity: {
      kind: "gvisor",
      engine: "runsc",
      version: "release-20990101.0",
      emulated: false,
      traits: ["separate-kernel", "user-space-kernel", "not-emulated", "platform-ptrace", "user-namespace"],
    },
    facets: ["exec", "pause", "resize", "top"],
  });
  expect(report.findings).toMatchObject([
    { id: "platform-systrap", level: "note" },
    { id: "platform-ptrace", level: "ok" },
  ]);
});

test("where its file server cannot have ids of its own, gVisor runs with the host's: told, and said by the traits", async () => {
  refuseOwnIds = true;
  const report = await open().probe(call);
  expect(report.identity?.traits).toContain("host-ids");
  expect(report.findings).toMatchObject([
    { id: "platform-systrap" },
    { id: "platform-ptrace", level: "ok" },
    { id: "gvisor-user-namespaces", level: "warning" },
  ]);
});

test("a platform that the operator names is the only one that is tried", async () => {
  working = ["systrap", "ptrace"];
  const report = await open({ platform: "kvm" }).probe(call);
  expect(launched).toEqual(["kvm", "kvm"]);
  expect(report.usable).toBe(false);
});

test("without runsc nothing is usable, and prepare is refused with the remedy", async () => {
  const driver = open({ findProgram: () => undefined });
  expect(await driver.probe(call)).toMatchObject({ usable: false, facets: [], findings: [{ id: "runsc-installed", level: "missing" }] });
  const spec = createTrialSpec({ workload: "b".repeat(64), root: { form: "directories", layers: ["/l"] } });
  await expect(driver.prepare(spec, join(root, "w"), call)).rejects.toMatchObject({
    code: "UNAVAILABLE",
    boundary: "gvisor",
    remedy: expect.stringContaining("runsc"),
  });
  expect(launched).toEqual([]);
});

test("where no platform works, the last one's reason is the finding, and nothing else is launched", async () => {
  working = [];
  const report = await open().probe(call);
  expect(report.findings.at(-1)).toMatchObject({ id: "gvisor-runs", level: "missing", what: expect.stringContaining("unknown platform: ptrace") });
  expect(launched).toEqual(["systrap", "systrap", "ptrace", "ptrace"]);
});

test("writes to the root are kept by the overlay beneath, where this runsc would keep them itself", async () => {
  const driver = open();
  const spec = createTrialSpec({ workload: "b".repeat(64), root: { form: "directories", layers: ["/l"] } });
  const bundle = await driver.prepare(spec, join(root, "w"), call);
  expect(bundle.driver).toMatchObject({ runtime: { arguments: ["--platform=ptrace", "--net-raw", "--overlay2=none"] } });
});
