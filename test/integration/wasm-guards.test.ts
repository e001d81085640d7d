/** What an instance may not do, and how its ends are told apart. Real modules in a real runner. */

import { randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { plainCall } from "../../src/contract/call.ts";
import { toFailure } from "../../src/contract/failure.ts";
import { plainProcess, type ProcessSpec } from "../../src/contract/process.ts";
import type { Sandbox } from "../../src/contract/sandbox.ts";
import type { SandboxSpec } from "../../src/contract/spec.ts";
import { createWasmDriver } from "../../src/drivers/wasm/driver.ts";
import { specOf } from "./host/busybox-root.ts";
import { findNativeProgram } from "./host/native-program.ts";
import { openOwnLauncher, type OwnLauncher } from "./host/own-launcher.ts";
import { compileFixture } from "./host/wasm-fixture.ts";

const call = plainCall();
let launcher: OwnLauncher;
let driver: ReturnType<typeof createWasmDriver>;
let module = "";
let unavailable = "";

beforeAll(async () => {
  const program = findNativeProgram("bulkhead-wasm");
  if (program === undefined) {
    unavailable = "bulkhead-wasm is not built";
    return;
  }
  const opened = await openOwnLauncher("wasm-guards");
  if ("unavailable" in opened) {
    unavailable = opened.unavailable;
    return;
  }
  launcher = opened;
  copyFileSync(program, join(launcher.root, "bulkhead-wasm"));
  driver = createWasmDriver({ launcher: launcher.client, root: launcher.root, sockets: launcher.sockets });
  const made = compileFixture("vocabulary", launcher.root);
  if (typeof made === "string") module = made;
  else {
    unavailable = made.unavailable;
    await launcher.close();
  }
}, 120_000);

afterAll(async () => {
  if (unavailable !== "") return;
  await launcher.client.request("sweep", { keep: [] });
  await launcher.close();
});

const main = (words: readonly string[]): ProcessSpec => plainProcess(["/vocabulary.wasm", ...words]);

const directoryOf = (workload: string) => join(launcher.root, "workloads", workload);

function spec(changes: Partial<SandboxSpec> = {}): SandboxSpec {
  return { ...specOf(randomBytes(32).toString("hex"), "", directoryOf), root: { form: "module", layers: [], file: module }, domain: "one", ...changes };
}

async function raise(words: readonly string[], changes: Partial<SandboxSpec> = {}): Promise<{ sandbox: Sandbox; spec: SandboxSpec }> {
  const wanted = spec(changes);
  const sandbox = await driver.launch(await driver.prepare(wanted, directoryOf(wanted.workload), call), main(words), call);
  return { sandbox, spec: wanted };
}

async function run(words: readonly string[], changes: Partial<SandboxSpec> = {}) {
  const { sandbox, spec: wanted } = await raise(words, changes);
  const attachment = await sandbox.main.attach({ stdin: false, stdout: true, stderr: true }, call);
  await sandbox.start(call);
  let text = "";
  for await (const { bytes } of attachment.output) text += Buffer.from(bytes).toString();
  const { status } = await sandbox.ended;
  await driver.remove({ kind: "wasm", workload: wanted.workload, directory: directoryOf(wanted.workload) }, call);
  return { ...status, text };
}

/** Pids of the runners of this launcher's root. */
function runners(): number[] {
  const folder = join(launcher.root, "run/supervisors");
  const notes = readdirSync(folder).filter((name) => name.startsWith("wasm-") && name.endsWith(".json"));
  return notes.map((name) => (JSON.parse(readFileSync(join(folder, name), "utf8")) as { pid: number }).pid);
}

describe("ends of wasm instances", () => {
  const ends: readonly (readonly [string, readonly string[], number, string])[] = [
    ["unreachable", ["unreachable"], 134, "unreachable"],
    ["memory out of bounds", ["wild"], 139, "out of bounds memory access"],
    ["an exhausted stack", ["overflow"], 139, "call stack exhausted"],
  ];
  for (const [name, words, code, line] of ends)
    it(`${name} ends with ${code}, and says so on stderr`, async ({ skip }) => {
      if (unavailable !== "") return skip(unavailable);
      const end = await run(words);
      expect(end).toMatchObject({ code, outOfMemory: false });
      expect(end.text).toContain(line);
    });

  it("out of memory is told as that, and as no other fault", async ({ skip }) => {
    if (unavailable !== "") return skip(unavailable);
    const end = await run(["hog"], { limits: { memoryBytes: 16 * 1024 * 1024 } });
    expect(end).toMatchObject({ code: 137, signal: "SIGKILL", outOfMemory: true });
    expect(end.text).toContain("out of memory");
  });

  it("an endless loop that is out of time ends by its limit of processor time", async ({ skip }) => {
    if (unavailable !== "") return skip(unavailable);
    const end = await run(["spin"], { rlimits: [{ name: "RLIMIT_CPU", soft: 1, hard: 1 }] });
    expect(end).toMatchObject({ code: 152, signal: "SIGXCPU", outOfMemory: false });
    expect(end.text).toContain("out of time");
  });

  it("an endless loop is killed at once, and a neighbour in the same runner goes on meanwhile", async ({ skip }) => {
    if (unavailable !== "") return skip(unavailable);
    const { sandbox } = await raise(["spin"]);
    await sandbox.start(call);
    expect((await run(["print", "stdout", Buffer.from("beside").toString("hex")])).text).toBe("beside");
    const began = performance.now();
    expect(await sandbox.main.signal("SIGTERM", call)).toBe(true);
    expect((await sandbox.ended).status).toMatchObject({ code: 143, signal: "SIGTERM" });
    expect(performance.now() - began).toBeLessThan(2000);
  });

  it("--cpus is kept: a loop with a tenth of a processor takes no more of it", async ({ skip }) => {
    if (unavailable !== "") return skip(unavailable);
    const { sandbox } = await raise(["spin"], { limits: { cpus: 0.1 } });
    await sandbox.start(call);
    const before = await sandbox.stats(call);
    const began = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const used = (await sandbox.stats(call)).cpuTotalNs - before.cpuTotalNs;
    expect(used / 1e6 / (performance.now() - began)).toBeLessThan(0.2);
    expect(used).toBeGreaterThan(0);
    await sandbox.end(call);
  });
});

describe("what one instance may take of its runner", () => {
  it("opens no more than 1024 files, is told EMFILE, and neighbours open theirs as before", async ({ skip }) => {
    if (unavailable !== "") return skip(unavailable);
    const volume = mkdtempSync(join(launcher.root, "volume-"));
    writeFileSync(join(volume, "file"), "beside");
    const mounts = [{ kind: "bind", source: volume, target: "/data", readOnly: true } as const];
    const hoarders = await Promise.all([1, 2, 3].map(() => raise(["hoard", "/data/file"], { mounts })));
    for (const { sandbox } of hoarders) {
      const attachment = await sandbox.main.attach({ stdin: false, stdout: true, stderr: true }, call);
      await sandbox.start(call);
      let text = "";
      for await (const { bytes } of attachment.output) if ((text += Buffer.from(bytes).toString()).split("\n").length > 2) break;
      expect(text).toMatch(/^\d+ EMFILE\none back, one more\n$/);
      expect(Number(text.split(" ")[0])).toBeGreaterThan(100);
      expect(Number(text.split(" ")[0])).toBeLessThan(1024);
    }
    expect(await run(["read", "/data/file"], { mounts })).toMatchObject({ code: 0, text: "beside" });
    for (const { sandbox } of hoarders) await sandbox.end(call);
  });

  it("a domain has a bound of tasks and of memory, whatever its instances have", async ({ skip }) => {
    if (unavailable !== "") return skip(unavailable);
    const { sandbox } = await raise(["sleep", "600"], { domain: "bounded" });
    await sandbox.start(call);
    const bounds = boundsOf(runners()[0] as number);
    if (bounds.tasks === undefined && bounds.memory === undefined) return skip("this host has neither a pids nor a memory controller");
    if (bounds.tasks !== undefined) expect(bounds.tasks).toBe(8192);
    if (bounds.memory !== undefined) expect(bounds.memory / totalmem()).toBeCloseTo(0.75, 2);
    await sandbox.end(call);
  });
});

/** Limits of the control groups that a process is in; undefined where the host has no such controller. */
function boundsOf(pid: number): { readonly tasks: number | undefined; readonly memory: number | undefined } {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
  const places = new Map(lines.map((line) => line.split(":").slice(1) as [string, string]));
  const read = (path: string) => (existsSync(path) ? Number(readFileSync(path, "utf8")) : undefined);
  const at = (controller: string, file: string, unified: string) => {
    const own = places.get(controller);
    return own === undefined ? read(`/sys/fs/cgroup${places.get("")}/${unified}`) : read(`/sys/fs/cgroup/${controller}${own}/${file}`);
  };
  return { tasks: at("pids", "pids.max", "pids.max"), memory: at("memory", "memory.limit_in_bytes", "memory.max") };
}

describe("walls of wasm instances", () => {
  it("the runner has no privilege: a user of its own, no capability, no new one, a system call filter, and namespaces of its own", async ({ skip }) => {
    if (unavailable !== "") return skip(unavailable);
    const { sandbox } = await raise(["sleep", "600"]);
    await sandbox.start(call);
    for (const pid of runners()) {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, "m").exec(status)?.[1] ?? "";
      expect(Number(field("Uid").split(/\s+/)[0])).toBeGreaterThan(65_535);
      for (const set of ["CapEff", "CapPrm", "CapBnd", "CapAmb"]) expect(field(set), set).toMatch(/^0+$/);
      expect(field("NoNewPrivs")).toBe("1");
      expect(field("Seccomp")).toBe("2");
      for (const space of ["mnt", "pid", "net", "ipc", "uts"]) {
        const of = (process: string) => execFileSync("readlink", [`/proc/${process}/ns/${space}`], { encoding: "utf8" });
        expect(of(String(pid)), space).not.toBe(of("self"));
      }
      expect(readdirSync(`/proc/${pid}/root`).sort()).toEqual(["bulkhead-wasm", "dev", "proc"]);
    }
    await sandbox.end(call);
  });

  it("two domains never share a process, and the death of one's runner is told there and unnoticed beside it", async ({ skip }) => {
    if (unavailable !== "") return skip(unavailable);
    const one = await raise(["sleep", "600"], { domain: "tenant a" });
    const before = new Set(runners());
    const two = await raise(["sleep", "600"], { domain: "tenant b" });
    await Promise.all([one.sandbox.start(call), two.sandbox.start(call)]);
    const [fresh, ...more] = runners().filter((pid) => !before.has(pid));
    expect(more).toEqual([]);
    process.kill(fresh as number, "SIGKILL");
    expect(await two.sandbox.ended).toMatchObject({ kind: "boundary-lost" });
    expect(await one.sandbox.main.signal("SIGKILL", call)).toBe(true);
    expect((await one.sandbox.ended).kind).toBe("exited");
  });

  it("an instance makes no links, and none that is there leads out of its root", async ({ skip }) => {
    if (unavailable !== "") return skip(unavailable);
    const volume = mkdtempSync(join(launcher.root, "volume-"));
    const secret = join(launcher.root, "canary");
    writeFileSync(secret, "canary");
    execFileSync("ln", ["-s", secret, join(volume, "way-out")]);
    const mounts = [{ kind: "bind", source: volume, target: "/data", readOnly: false } as const];
    expect((await run(["link", "/etc/passwd", "/data/made"], { mounts })).code).not.toBe(0);
    expect(existsSync(join(volume, "made"))).toBe(false);
    for (const path of ["/data/way-out", "/../../../../../../etc/hostname", "/proc/self/fd/3", "/data/../../canary"]) {
      const end = await run(["read", path], { mounts });
      expect(end.code, path).not.toBe(0);
      expect(end.text, path).not.toContain("canary");
    }
    expect((await run(["list", "/"], { mounts })).text.split("\n").filter((name) => !/^\.{0,2}$/.test(name))).toEqual(["data"]);
  });

  it("what is no module, no command, or no WASI is refused at start with what is wrong, and nothing stands", async ({ skip }) => {
    if (unavailable !== "") return skip(unavailable);
    const folder = join(launcher.root, "bad");
    mkdirSync(folder, { recursive: true });
    const bad: Readonly<Record<string, readonly [Buffer, RegExp]>> = {
      text: [Buffer.from("#!/bin/sh\n"), /no wasm module/],
      empty: [Buffer.alloc(0), /no wasm module/],
      broken: [Buffer.from("0061736d01000000ffff", "hex"), /cannot be compiled/],
      // (module)
      library: [Buffer.from("0061736d01000000", "hex"), /exports no _start/],
      // (module (import "env" "f" (func)) (func (export "_start")))
      foreign: [
        Buffer.from("0061736d01000000010401600000020901" + "03656e76" + "0166" + "0000" + "03020100070a01065f7374617274" + "0001" + "0a040102000b", "hex"),
        /no part of WASI/,
      ],
      // (component)
      component: [Buffer.from("0061736d0d000100", "hex"), /not of the world/],
    };
    for (const [name, [bytes, what]] of Object.entries(bad)) {
      const file = join(folder, `${name}.wasm`);
      writeFileSync(file, bytes);
      const { sandbox } = await raise([], { root: { form: "module", layers: [], file } });
      const failure = await sandbox.start(call).then(
        () => undefined,
        (thrown: unknown) => toFailure(thrown),
      );
      expect(failure?.code, name).toBe("COMMAND_NOT_EXECUTABLE");
      expect(failure?.message, name).toMatch(what);
      expect((await sandbox.ended).status.code, name).toBe(126);
    }
  });
});
