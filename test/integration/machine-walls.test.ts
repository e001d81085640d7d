/**
 * What stands between a machine and the host: what its monitor is seen to be from outside, and what becomes of monitors and agents that lie.
 * The hostile ones are a shell in the monitor's place, confined as one, with the agent's channel at its descriptor.
 */

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { plainCall } from "../../src/contract/call.ts";
import type { Failure } from "../../src/contract/failure.ts";
import { FRAME_KIND } from "../../src/contract/frame.ts";
import type { LaunchPlan, MachineEngine } from "../../src/contract/launch-plan.ts";
import { plainProcess, type ProcessSpec } from "../../src/contract/process.ts";
import type { SandboxSpec } from "../../src/contract/spec.ts";
import { composePlan, readBundle } from "../../src/drivers/microvm/bundle.ts";
import { createMicrovmDriver } from "../../src/drivers/microvm/driver.ts";
import { raise } from "../../src/host/raise.ts";
import { BUSYBOX, makeBusyboxLayer, specOf } from "./host/busybox-root.ts";
import { findNativeProgram } from "./host/native-program.ts";
import { openOwnLauncher, type OwnLauncher } from "./host/own-launcher.ts";

const MAIN: ProcessSpec = plainProcess(["sleep", "1000"]);
const HOST_MEMORY_MIB = 64;
const IDLE = `exec ${BUSYBOX} sleep 100`;

const guest = findNativeProgram("bulkhead-guest");
const opened =
  existsSync(BUSYBOX) && guest !== undefined ? await openOwnLauncher("walls", [BUSYBOX]) : { unavailable: "busybox-static or bulkhead-guest is not there" };
if ("unavailable" in opened) console.log(`machine walls: skipped, because ${opened.unavailable}`);

function frame(kind: number, process: number, payload: Buffer, length = payload.length): Buffer {
  const header = Buffer.alloc(9);
  header.writeUInt32LE(length >>> 0, 0);
  header.writeUInt8(kind, 4);
  header.writeUInt32LE(process, 5);
  return Buffer.concat([header, payload]);
}
const message = (value: object) => frame(FRAME_KIND.message, 0, Buffer.from(JSON.stringify(value)));
const HELLO = message({ event: "hello", version: 1, kernel: "6.1" });
const CONFIGURED = message({ id: 1, ok: {} });

describe.skipIf("unavailable" in opened)("a machine's walls", () => {
  const launcher = opened as OwnLauncher;
  const directoryOf = (workload: string) => join(launcher.root, "workloads", workload);
  let usable: readonly string[] = [];
  const driver = createMicrovmDriver({ launcher: launcher.client, root: launcher.root, sockets: launcher.sockets, guestPrograms: [guest as string] });
  let layer: { path: string; bytes: number };

  beforeAll(async () => {
    const image = join(launcher.root, "layer.erofs");
    const { bytes } = await launcher.client.request("layerImage", { directory: makeBusyboxLayer(launcher.root), file: image });
    layer = { path: image, bytes };
    usable = (await driver.probe(plainCall())).findings.filter(({ level }) => level === "missing").map(({ what }) => what);
  });
  afterAll(() => launcher.close());

  async function planOf(mounts: SandboxSpec["mounts"] = [], workload = randomBytes(32).toString("hex")): Promise<LaunchPlan> {
    expect(usable).toEqual([]);
    const drive = { path: layer.path, format: "raw" } as const;
    const root = { form: "block-image", drive, extents: [], layers: [{ offsetBytes: 0, lengthBytes: layer.bytes }] } as const;
    const bundle = await driver.prepare({ ...specOf(workload, "", directoryOf), root, mounts }, directoryOf(workload), plainCall());
    return composePlan(bundle, readBundle(bundle), MAIN);
  }

  const clear = (plan: LaunchPlan) => launcher.client.request("remove", { workload: plan.workload, directory: plan.directory, keepDirectory: false });

  it("leave its monitor a user of its own, no capability, a filter, namespaces and a control group of its own, and only its files", async () => {
    const plan = await planOf();
    const { mainPid } = await raise(launcher.client, plan, plainCall());
    try {
      const at = `/proc/${mainPid}`;
      const status = readFileSync(`${at}/status`, "utf8");
      const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(status)?.[1]?.trim() ?? "";
      const engine = plan.engine as MachineEngine;
      expect(engine.uid).toBeGreaterThan(1_000_000);
      expect([field("Uid"), field("Gid")]).toEqual([Array(4).fill(engine.uid).join("\t"), Array(4).fill(engine.gid).join("\t")]);
      expect(field("Groups")).toBe("");
      for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) expect([set, field(set)]).toEqual([set, "0".repeat(16)]);
      expect([field("NoNewPrivs"), field("Seccomp")]).toEqual(["1", "2"]);
      for (const name of ["mnt", "net", "pid", "ipc", "uts"]) expect(readlinkSync(`${at}/ns/${name}`)).not.toBe(readlinkSync(`/proc/self/ns/${name}`));
      expect(readFileSync(`${at}/cgroup`, "utf8")).toContain(plan.workload.slice(0, 12));
      expect(readFileSync(`${at}/net/dev`, "utf8").trim().split("\n")).toHaveLength(3); // two lines of titles, and a loopback that is down
      const seen = readFileSync(`${at}/mountinfo`, "utf8")
        .trim()
        .split("\n")
        .map((line) => line.split(" "));
      const writable = seen.filter((words) => (words[5] as string).split(",").includes("rw")).map((words) => words[4]);
      expect(new Set(writable)).toEqual(new Set(["/dev/null", engine.scratch.path]));
      const files = readdirSync(`${at}/fd`)
        .map((fd) => readlinkSync(`${at}/fd/${fd}`))
        .filter((path) => path.startsWith("/") && path !== "/dev/null");
      for (const path of files) expect([layer.path, engine.scratch.path, `${engine.scratch.path}.new`]).toContain(path);
    } finally {
      await clear(plan);
    }
  });

  it("leave the server of a share no process to see or to signal but itself, and one beside it reaches all", async () => {
    const source = mkdtempSync(join(tmpdir(), "bulkhead-shared-"));
    const plan = await planOf([{ kind: "bind", source, target: "/data", readOnly: true }]);
    const { mainPid } = await raise(launcher.client, plan, plainCall());
    try {
      const supervisor = parentOf(mainPid as number);
      const servers = processes().filter((pid) => parentOf(pid) === supervisor && readFileSync(`/proc/${pid}/comm`, "utf8") === "bulkhead-share\n");
      expect(servers).toHaveLength(1);
      // Its numbers in the namespaces that it is in, the host's first: in its own it is the first process, and every other is its child.
      const numbers = (pid: number) => (/^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "").split(/\s+/);
      expect(numbers(servers[0] as number).slice(-2)).toEqual([String(servers[0]), "1"]);
      expect(numbers(supervisor), "the control: its parent is in the host's").toEqual([String(supervisor)]);
      expect(processes().filter((pid) => parentOf(pid) === servers[0])).toEqual([]);
    } finally {
      await clear(plan);
      rmSync(source, { recursive: true });
    }
  });

  it("never share a user: of two whose names would give them the same, the second gets another, and its disk with it", async () => {
    const start = randomBytes(3).toString("hex");
    const plans = [await planOf([], start + randomBytes(29).toString("hex")), await planOf([], start + randomBytes(29).toString("hex"))];
    const engines = plans.map(({ engine }) => engine as MachineEngine);
    expect(engines[0]?.uid, "the control: both ask for the same").toBe(engines[1]?.uid);
    try {
      const users: number[] = [];
      for (const plan of plans) {
        const { mainPid } = await raise(launcher.client, plan, plainCall());
        users.push(Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${mainPid}/status`, "utf8"))?.[1]));
      }
      expect(users[0]).toBe(engines[0]?.uid);
      expect(users[1]).not.toBe(users[0]);
      expect(engines.map(({ scratch }) => statSync(scratch.path).uid)).toEqual(users);
    } finally {
      for (const plan of plans) await clear(plan);
    }
  });

  /** A shell in the monitor's place, that says these bytes on the agent's channel and then does as told. */
  async function raiseLiar(said: Buffer, then: string, bootDeadlineMs = 5000): Promise<LaunchPlan & { outcome: Promise<string>; peakMib: () => number }> {
    const plan = await planOf();
    mkdirSync(plan.directory, { recursive: true });
    const words = join(plan.directory, "words");
    writeFileSync(words, said, { mode: 0o644 });
    const files = [BUSYBOX, words].map((path) => ({ path, writable: false }));
    const script = `${BUSYBOX} cat ${words} >&{agent}; ${then}`;
    const engine = {
      ...(plan.engine as MachineEngine),
      program: BUSYBOX,
      arguments: ["sh", "-c", script, "-sandbox", "on,elevateprivileges=deny,spawn=deny"],
      files,
      bootDeadlineMs,
    };
    const lying = { ...plan, engine };
    let peak = 0;
    const watch = setInterval(() => (peak = Math.max(peak, ...supervisorsMib(launcher.root))), 10);
    const launched = raise(launcher.client, lying, plainCall()).then(
      () => "raised",
      (thrown: Failure) => thrown.code,
    );
    return { ...lying, outcome: launched.finally(() => clearInterval(watch)), peakMib: () => peak };
  }

  const lies: readonly [string, Buffer, string, string][] = [
    ["a frame of four GiB", frame(0, 0, Buffer.alloc(0), 0xffff_ffff), IDLE, "CORRUPT_DATA"],
    ["a frame that never ends", frame(0, 0, Buffer.from("{"), 1024 * 1024), IDLE, "TIMED_OUT"],
    ["a program's bytes", Buffer.alloc(0), `exec ${BUSYBOX} cat ${BUSYBOX} >&{agent}`, "CORRUPT_DATA"],
    ["a frame of no kind", frame(77, 0, Buffer.from("x")), IDLE, "CORRUPT_DATA"],
    ["output before its first word", frame(FRAME_KIND.stdout, 0, Buffer.alloc(100)), IDLE, "CORRUPT_DATA"],
    ["text nested a hundred thousand deep", frame(0, 0, Buffer.from("[".repeat(100_000))), IDLE, "CORRUPT_DATA"],
    ["hello in another version", message({ event: "hello", version: 999 }), IDLE, "CORRUPT_DATA"],
    ["an answer that nobody asked for", Buffer.concat([HELLO, message({ id: 77, ok: {} })]), IDLE, "CORRUPT_DATA"],
    ["nothing, and a console full of words", Buffer.alloc(0), `exec ${BUSYBOX} yes`, "TIMED_OUT"],
  ];

  it.each(lies)("end the raising of a machine whose agent says %s, in little memory", async (_, said, then, code) => {
    const plan = await raiseLiar(said, then, 3000);
    expect(await plan.outcome).toBe(code);
    expect(plan.peakMib()).toBeLessThan(HOST_MEMORY_MIB);
    await clear(plan);
  });

  const later: readonly [string, Buffer][] = [
    ["output of a process that nobody started", frame(FRAME_KIND.stdout, 7, Buffer.alloc(1000))],
    ["an end of a process that nobody started", message({ event: "exited", process: 9, code: 0, outOfMemory: false })],
    ["an answer to question 2^53", message({ id: 2 ** 53, ok: {} })],
    ["a frame of four GiB", frame(FRAME_KIND.stdout, 0, Buffer.alloc(0), 0xffff_ffff)],
    ["hello twice", HELLO],
  ];

  it.each(later)("lose a raised machine whose agent says %s, and write down so", async (_, lie) => {
    const plan = await raiseLiar(Buffer.concat([HELLO, CONFIGURED, lie]), `exec ${BUSYBOX} sleep 100`);
    expect(await plan.outcome).toBe("raised");
    for (let waited = 0; waited < 500 && !existsSync(plan.exitRecord); waited++) await sleep(10);
    expect(readFileSync(plan.exitRecord, "utf8")).toMatch(/boundary-lost/);
    expect(plan.peakMib()).toBeLessThan(HOST_MEMORY_MIB);
    await clear(plan);
  });
});

const processes = () =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** 0 for one that has ended meanwhile. */
function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    return 0;
  }
}

/** Private memory of every process of this root's launcher, in MiB. */
function supervisorsMib(root: string): number[] {
  const sizes = [0];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(`${root}/bulkhead-launcher`)) continue;
      sizes.push(Number(/^RssAnon:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024);
    } catch {} // it has ended
  }
  return sizes;
}
