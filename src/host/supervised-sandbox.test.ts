import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Call, plainCall } from "../contract/call.ts";
import { FRAME_KIND } from "../contract/frame.ts";
import type { GuestProcess } from "../contract/launch-plan.ts";
import { plainProcess, type Attachment, type ProcessSpec } from "../contract/process.ts";
import type { Sandbox } from "../contract/sandbox.ts";
import { adoptSandbox } from "./raise.ts";
import { connectSandbox, findSandbox, type SupervisedOptions } from "./supervised-sandbox.ts";
import { EXIT_AT, exitRecord, FakeSupervisor } from "./testkit/fake-supervisor.ts";

const ALL = { stdin: true, stdout: true, stderr: true };
const SPEC: ProcessSpec = { ...plainProcess(["sh"]), stdin: true, stdinOnce: true };
let directory: string;
let supervisor: FakeSupervisor;
let call: Call;
/** A new one for each test: sandboxes of earlier tests lose their supervisor when those end. */
let cleared: { count: number };

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-sandbox-"));
  supervisor = new FakeSupervisor(join(directory, "s.sock"));
  await supervisor.listen();
  call = plainCall();
  cleared = { count: 0 };
});
afterEach(async () => {
  await supervisor.die();
  rmSync(directory, { recursive: true, force: true });
});

function options(change: Partial<SupervisedOptions> = {}): SupervisedOptions {
  const mine = cleared;
  return {
    workload: "w",
    identity: { kind: "container", engine: "fake", version: "1", emulated: false, traits: [] },
    socket: supervisor.path,
    exitRecord: join(directory, "exit.json"),
    terminal: false,
    mainPid: 4711,
    facets: { exec: (spec) => ({ command: spec.command }) as unknown as GuestProcess, pause: true, resize: true, top: true, files: true },
    log: call.log,
    clear: async () => void mine.count++,
    ...change,
  };
}

async function read(attachment: Attachment): Promise<string> {
  let text = "";
  for await (const chunk of attachment.output) text += `${chunk.stream === "stderr" ? "!" : ""}${Buffer.from(chunk.bytes).toString()}`;
  return text;
}

test("a process's output ends after its exit is known, with nothing lost", async () => {
  const sandbox = connectSandbox(options());
  const attachment = await sandbox.main.attach(ALL, call);
  await sandbox.start(call);
  supervisor.output(0, FRAME_KIND.stdout, "one ");
  supervisor.output(0, FRAME_KIND.stderr, "two ");
  supervisor.output(0, FRAME_KIND.stdout, "three");
  supervisor.exit(0, 3);
  expect(await read(attachment)).toBe("one !two three");
  expect(await sandbox.main.exited).toEqual({ code: 3, outOfMemory: false, at: EXIT_AT });
  supervisor.end(exitRecord(3));
  expect(await sandbox.ended).toEqual({ kind: "exited", status: { code: 3, outOfMemory: false, at: EXIT_AT } });
  expect(await sandbox.main.signal("SIGTERM", call)).toBe(false);
});

test("input reaches the process in order and its end is told once", async () => {
  const sandbox = connectSandbox(options());
  const attachment = await sandbox.main.attach(ALL, call);
  await attachment.write(Buffer.from("x".repeat(100_000)));
  await attachment.endInput();
  await attachment.endInput();
  await expect(attachment.write(Buffer.from("late"))).rejects.toMatchObject({ code: "WRONG_STATE" });
  await vi.waitFor(() => expect(supervisor.input.at(-1)?.kind).toBe(FRAME_KIND.end));
  expect(supervisor.input.filter((frame) => frame.kind === FRAME_KIND.stdin).reduce((sum, frame) => sum + frame.text.length, 0)).toBe(100_000);
  expect(supervisor.input.filter((frame) => frame.kind === FRAME_KIND.end)).toHaveLength(1);
  attachment.close();
});

test("a reader that is slow stops the sender, and gets every byte in the end", async () => {
  const sandbox = connectSandbox(options());
  const attachment = await sandbox.main.attach(ALL, call);
  let sent = 0;
  while (supervisor.output(0, FRAME_KIND.stdout, Buffer.alloc(64 * 1024, 97))) sent++;
  await new Promise((resolve) => setTimeout(resolve, 50));
  for (let more = 0; more < 200; more++) {
    supervisor.output(0, FRAME_KIND.stdout, Buffer.alloc(64 * 1024, 97));
    sent++;
  }
  sent++; // the one that filled the buffer went as well
  await new Promise((resolve) => setTimeout(resolve, 50));
  const waiting = [...supervisor.connections].reduce((sum, { socket }) => sum + socket.writableLength, 0);
  expect(waiting, "bytes that stayed with the sender").toBeGreaterThan(10 * 1024 * 1024);
  supervisor.exit(0, 0);
  expect((await read(attachment)).length).toBe(sent * 64 * 1024);
});

test("an exec's exit is known although it came in one chunk with the answer", async () => {
  const sandbox = connectSandbox(options());
  supervisor.answer = (ask) => {
    if (ask.verb === "exec") {
      setImmediate(() => {
        supervisor.output(1, FRAME_KIND.stdout, "quick");
        supervisor.exit(1, 7);
      });
    }
    return "default";
  };
  const { process, attachment } = await (sandbox.exec as NonNullable<Sandbox["exec"]>).run(SPEC, ALL, call);
  expect(process.number).toBe(1);
  expect(process.hostPid).toBe(5001);
  expect(await read(attachment)).toBe("quick");
  expect((await process.exited).code).toBe(7);
  expect(sandbox.exec?.find(1)).toBeDefined();
  expect(sandbox.exec?.find(2)).toBeUndefined();
});

test("a supervisor's refusal keeps its code and names the workload and boundary", async () => {
  const sandbox = connectSandbox(options());
  supervisor.answer = (ask) => (ask.verb === "start" ? { failure: { code: "COMMAND_NOT_FOUND", what: "no such program" } } : "default");
  await expect(sandbox.start(call)).rejects.toMatchObject({ code: "COMMAND_NOT_FOUND", workload: "w", boundary: "container" });
});

test("a lost connection is made again while the supervisor lives", async () => {
  const sandbox = connectSandbox(options());
  await sandbox.start(call);
  supervisor.hello = { ...supervisor.hello, state: "running", processes: [{ process: 1, hostPid: 9, status: { code: 5, outOfMemory: false, at: EXIT_AT } }] };
  supervisor.answer = (ask) => (ask.verb === "stats" ? undefined : "default");
  const silent = sandbox.stats(call);
  await vi.waitFor(() => expect(supervisor.asked.at(-1)?.verb).toBe("stats"));
  supervisor.drop();
  await expect(silent).rejects.toMatchObject({ code: "CONNECTION_LOST", message: expect.stringContaining("the supervisor answers again") });
  supervisor.answer = () => "default";
  await expect(sandbox.pause?.pause(call)).resolves.toBeUndefined();
  expect((await sandbox.exec?.find(1)?.exited)?.code, "an exit that was missed").toBe(5);
  expect(cleared.count).toBe(0);
});

test("a supervisor that went with a record ended as the record says", async () => {
  const sandbox = connectSandbox(options());
  await sandbox.start(call);
  writeFileSync(join(directory, "exit.json"), JSON.stringify({ ...exitRecord(137), signal: "SIGKILL", outOfMemory: true }));
  await supervisor.die();
  expect(await sandbox.ended).toMatchObject({ kind: "exited", status: { code: 137, outOfMemory: true } });
  await expect(sandbox.stats(call)).rejects.toMatchObject({ code: "WRONG_STATE" });
});

test("a supervisor that was killed is a lost boundary, cleared before it is told", async () => {
  const sandbox = connectSandbox(options());
  const attachment = await sandbox.main.attach(ALL, call);
  const stats = supervisor.asked.length;
  supervisor.answer = (ask) => (ask.verb === "stats" ? undefined : "default");
  const asked = sandbox.stats(call);
  const refused = expect(asked).rejects.toMatchObject({ code: "CONNECTION_LOST", message: expect.stringContaining("was killed") });
  await vi.waitFor(() => expect(supervisor.asked.length).toBeGreaterThan(stats));
  await supervisor.die();
  const reason = await sandbox.ended;
  expect(reason).toMatchObject({ kind: "boundary-lost", status: { code: 137 } });
  expect(cleared.count).toBe(1);
  expect((await sandbox.main.exited).code).toBe(137);
  expect(await read(attachment)).toBe("");
  await refused;
});

test("end() resolves when the sandbox has ended, also a second time", async () => {
  const sandbox = connectSandbox(options());
  supervisor.answer = (ask) => {
    if (ask.verb === "end") setTimeout(() => supervisor.end(exitRecord(137, "ended")), 5);
    return "default";
  };
  await sandbox.end(call);
  await sandbox.end(call);
  expect(await sandbox.ended).toMatchObject({ kind: "ended" });
});

test("facets that the driver does not hand in are not there", () => {
  const bare = connectSandbox(options({ facets: { pause: false, resize: false, top: false, files: false } }));
  expect(Object.keys(bare).sort()).toEqual(["end", "ended", "identity", "main", "start", "stats"]);
  const full = connectSandbox(options());
  expect(Object.keys(full).sort()).toEqual(["end", "ended", "exec", "files", "identity", "main", "pause", "resize", "start", "stats", "top"]);
});

test("a terminal is resized only where there is one", async () => {
  await expect(connectSandbox(options()).main.resizeTerminal({ rows: 1, columns: 2 }, call)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  supervisor.hello = { ...supervisor.hello, terminal: true };
  await connectSandbox(options({ terminal: true })).main.resizeTerminal({ rows: 1, columns: 2 }, call);
  expect(supervisor.asked.at(-1)).toMatchObject({ verb: "resize", process: 0, rows: 1, columns: 2 });
});

test("joining a process that has ended ends at once", async () => {
  supervisor.hello = { ...supervisor.hello, state: "running", processes: [{ process: 3, hostPid: 9, status: { code: 5, outOfMemory: false, at: EXIT_AT } }] };
  const found = await findSandbox(options());
  supervisor.answer = (ask) => {
    if (ask.verb === "attach") setImmediate(() => supervisor.endStreams(3));
    return "default";
  };
  expect(await read((await found?.sandbox.exec?.find(3)?.attach(ALL, call)) as Attachment)).toBe("");
});

test("aborting the call closes the attachment", async () => {
  const abort = new AbortController();
  const attachment = await connectSandbox(options()).main.attach(ALL, plainCall(abort.signal));
  const text = read(attachment);
  abort.abort();
  expect(await text).toBe("");
});

test("an adopted sandbox knows its execs, and a missing supervisor is undefined", async () => {
  supervisor.hello = { ...supervisor.hello, state: "running", processes: [{ process: 2, hostPid: 99, status: null, name: "the-id" }] };
  const found = await findSandbox(options({ mainPid: undefined }));
  expect(found?.sandbox.exec?.find("the-id")?.number).toBe(2);
  expect(found?.sandbox.exec?.find("another")).toBeUndefined();
  expect(found?.hello.state).toBe("running");
  expect(found?.sandbox.main.hostPid).toBe(4711);
  expect(found?.sandbox.exec?.find(2)?.hostPid).toBe(99);
  expect(await findSandbox(options({ socket: join(directory, "nobody.sock") }))).toBeUndefined();
});

test("a supervisor that refuses us when its connection was cut is complained of, and neither ends the workload nor us", async () => {
  const complaints: string[] = [];
  const sandbox = connectSandbox(options({ log: { ...call.log, error: (_: unknown, text?: string) => void complaints.push(text ?? "") } }));
  await sandbox.main.attach(ALL, call);
  supervisor.answer = (ask) => (ask.verb === "hello" ? { failure: { code: "UNSUPPORTED", what: "the supervisor speaks version 1, not 2" } } : "default");
  supervisor.drop();
  await expect.poll(() => complaints).toEqual(["a supervisor cannot be spoken to"]);
  expect(cleared.count).toBe(0);
});

test("adoption waits for one that is on its way out, and tells from its record whether it had ever been let go", async () => {
  supervisor.hello = { ...supervisor.hello, state: "ending" };
  const adoption = adoptSandbox(options(), { launched: true, startAsked: false });
  await vi.waitFor(() => expect(supervisor.asked.some(({ verb }) => verb === "hello")).toBe(true));
  writeFileSync(join(directory, "exit.json"), JSON.stringify({ ...exitRecord(137, "ended"), started: false }));
  await supervisor.die();
  expect(await adoption).toMatchObject({ state: "ended", started: false, reason: { status: { code: 137 } } });
});
