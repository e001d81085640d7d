import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { ExecRequest } from "./index.ts";
import { settle } from "./testkit/manual-clock.ts";
import { makeRequest, makeWorld, type World } from "./testkit/world.ts";

const call = plainCall();
const ATTACHED = { stdin: true, stdout: true, stderr: true };
let world: World;
let workload: string;
beforeEach(async () => {
  world = makeWorld();
  workload = (await world.engine.create(makeRequest({ environment: ["FROM=workload"], workingDirectory: "/srv", user: "7:7" }), call)).id;
  await world.engine.start(workload, call);
});
afterEach(() => world.dispose());

const request = (command: readonly string[], changes: Partial<ExecRequest> = {}): ExecRequest => ({
  command,
  environment: [],
  terminal: false,
  attach: ATTACHED,
  privileged: false,
  ...changes,
});

async function run(command: readonly string[], changes: Partial<ExecRequest> = {}) {
  const { id } = await world.engine.createExec(workload, request(command, changes), call);
  const attachment = await world.engine.startExec(id, { detach: false }, call);
  let text = "";
  for await (const { bytes } of attachment?.output ?? []) text += Buffer.from(bytes).toString();
  return { id, text, view: world.engine.inspectExec(id) };
}

describe("exec", () => {
  it("has its exit and is not running at the moment its output ends", async () => {
    const { text, view } = await run(["print", "stdout", "hi"]);
    expect(text).toBe("hi");
    expect(view).toMatchObject({ running: false, exit: { code: 0 } });
    expect((await run(["exit", "42"])).view.exit?.code).toBe(42);
  });

  it("runs with the workload's environment, directory and user, and with its own where given", async () => {
    expect((await run(["environment"])).text).toContain("FROM=workload\n");
    expect((await run(["environment"], { environment: ["FROM=exec"] })).text).toContain("FROM=exec\n");
    expect((await run(["directory"])).text).toBe("/srv\n");
    expect((await run(["directory"], { workingDirectory: "/etc" })).text).toBe("/etc\n");
    expect((await run(["user"])).text).toBe("7:7\n");
    expect((await run(["user"], { user: "1:1" })).text).toBe("1:1\n");
  });

  it("takes input, and its end", async () => {
    const { id } = await world.engine.createExec(workload, request(["cat"]), call);
    const attachment = await world.engine.startExec(id, { detach: false }, call);
    expect(world.engine.inspectExec(id).running).toBe(true);
    await attachment?.write(Buffer.from("words"));
    await attachment?.endInput();
    let text = "";
    for await (const { bytes } of attachment?.output ?? []) text += Buffer.from(bytes).toString();
    expect(text).toBe("words");
  });

  it("detached answers at once and runs on", async () => {
    const { id } = await world.engine.createExec(workload, request(["sleep", "5"]), call);
    expect(await world.engine.startExec(id, { detach: true }, call)).toBeUndefined();
    expect(world.engine.inspectExec(id).running).toBe(true);
    expect(world.disk.count("execs")).toBe(1);
    await world.clock.pass(5000);
    expect(world.engine.inspectExec(id)).toMatchObject({ running: false, exit: { code: 0 } });
    expect(world.disk.count("execs")).toBe(0);
  });

  it("that could not be started says why, and keeps 127 or 126", async () => {
    for (const [command, code, exit] of [
      ["no-such", "COMMAND_NOT_FOUND", 127],
      ["not-executable", "COMMAND_NOT_EXECUTABLE", 126],
    ] as const) {
      const { id } = await world.engine.createExec(workload, request([command]), call);
      await expect(world.engine.startExec(id, { detach: false }, call)).rejects.toMatchObject({ code });
      expect(world.engine.inspectExec(id)).toMatchObject({ running: false, exit: { code: exit } });
    }
  });

  it("gets signals of its own, until it has ended", async () => {
    const { id } = await world.engine.createExec(workload, request(["trap", "SIGTERM", "21"]), call);
    await expect(world.engine.signalExec(id, "SIGTERM", call)).rejects.toMatchObject({ code: "WRONG_STATE" });
    await world.engine.startExec(id, { detach: true }, call);
    await expect(world.engine.signalExec(id, "bogus", call)).rejects.toMatchObject({ code: "INVALID_SPEC" });
    expect(await world.engine.signalExec(id, "TERM", call)).toBe(true);
    await settle();
    expect(world.engine.inspectExec(id)).toMatchObject({ running: false, exit: { code: 21 } });
    expect(await world.engine.signalExec(id, "SIGTERM", call)).toBe(false);
  });

  it("is written down before it begins", async () => {
    const { id } = await world.engine.createExec(workload, request(["sleep", "5"]), call);
    world.disk.full = true;
    await expect(world.engine.startExec(id, { detach: true }, call)).rejects.toThrow("full");
    world.disk.full = false;
    expect([...world.host.standing.values()][0]?.processes.size).toBe(1);
  });

  it("starts once", async () => {
    const { id } = await run(["true"]);
    await expect(world.engine.startExec(id, { detach: false }, call)).rejects.toMatchObject({ code: "WRONG_STATE" });
  });

  it("is refused where the workload is paused, and gone where it has stopped", async () => {
    const { id } = await world.engine.createExec(workload, request(["true"]), call);
    await world.engine.pause(workload, call);
    await expect(world.engine.createExec(workload, request(["true"]), call)).rejects.toMatchObject({ code: "WRONG_STATE" });
    await world.engine.stop(workload, {}, call);
    await expect(world.engine.createExec(workload, request(["true"]), call)).rejects.toMatchObject({ code: "WRONG_STATE" });
    await expect(world.engine.startExec(id, { detach: false }, call)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("has a terminal of its size, and takes another", async () => {
    const { id } = await world.engine.createExec(workload, request(["size", "SIGWINCH"], { terminal: true }), call);
    const attachment = await world.engine.startExec(id, { detach: false, terminalSize: { rows: 10, columns: 20 } }, call);
    await settle();
    await world.engine.resizeExec(id, { rows: 30, columns: 40 }, call);
    let text = "";
    for await (const { bytes } of attachment?.output ?? []) text += Buffer.from(bytes).toString();
    expect(text).toBe("10 20\r\n30 40\r\n");
  });

  it("that a boundary broke off is told as the workload's end where that follows within a moment, and as the fault where not", async () => {
    const broken = new Failure("INTERNAL", "crun could not run the command: setns `mnt`: Bad file descriptor");
    for (const ends of [true, false]) {
      const { id } = await world.engine.createExec(workload, request(["true"]), call);
      world.host.failNext("exec", broken);
      const started = world.engine.startExec(id, { detach: false }, call).catch((thrown: unknown) => thrown);
      await settle();
      if (ends) for (const supervisor of world.host.standing.values()) supervisor.main.kill("SIGKILL");
      await world.clock.pass(1000);
      expect(await started).toMatchObject({ code: ends ? "WRONG_STATE" : "INTERNAL" });
      if (ends) await world.engine.start(workload, call);
    }
  });

  it("is listed with its workload, forgotten after many, and gone with it", async () => {
    const { id } = await run(["true"]);
    expect(world.engine.inspect(workload).execs).toContain(id);
    for (let count = 0; count < 70; count++) await run(["true"]);
    expect(world.engine.inspectExec(id), "its client may be about to ask for the exit").toMatchObject({ running: false });
    await world.clock.pass(61_000);
    await run(["true"]);
    expect(world.engine.inspect(workload).execs.length).toBeLessThan(70);
    expect(() => world.engine.inspectExec(id)).toThrow("No such exec instance");
    await world.engine.remove(workload, { force: true, volumes: false }, call);
    expect(world.disk.count("execs")).toBe(0);
  });
});

describe("execs that are never started", () => {
  it("are forgotten after five minutes, those that run are not", async () => {
    const { id: idle } = await world.engine.createExec(workload, request(["true"]), call);
    const { id: busy } = await world.engine.createExec(workload, request(["sleep", "1000"]), call);
    await world.engine.startExec(busy, { detach: true }, call);
    await world.clock.pass(4 * 60_000);
    expect(world.engine.inspectExec(idle).running).toBe(false);
    await world.clock.pass(60_000);
    expect(() => world.engine.inspectExec(idle)).toThrow("No such exec instance");
    expect(world.engine.inspectExec(busy).running).toBe(true);
    expect(world.engine.inspect(workload).execs).toEqual([busy]);
  });

  it("do not gather without bound", async () => {
    const { id: first } = await world.engine.createExec(workload, request(["true"]), call);
    for (let count = 0; count < 1000; count++) await world.engine.createExec(workload, request(["true"]), call);
    expect(() => world.engine.inspectExec(first)).toThrow("No such exec instance");
    expect(world.engine.inspect(workload).execs.length).toBe(1000);
  });
});

describe("health checks", () => {
  it("become healthy, unhealthy after the retries, and say so once each", async () => {
    const names: string[] = [];
    const abort = new AbortController();
    void (async () => {
      for await (const event of world.engine.events({}, plainCall(abort.signal)))
        if (event.name === "health-changed") names.push(event.attributes.health ?? "");
    })();
    const check = { test: ["CMD", "read", "/healthy"], intervalMs: 1000, timeoutMs: 500, startPeriodMs: 0, retries: 3 };
    const { id } = await world.engine.create(makeRequest({ healthCheck: check }), call);
    await world.engine.start(id, call);
    expect(world.engine.inspect(id).health).toBe("starting");
    await world.clock.pass(2500);
    expect(world.engine.inspect(id).health).toBe("starting");
    await world.clock.pass(1000);
    expect(world.engine.inspect(id).health).toBe("unhealthy");
    [...world.host.standing].find(([directory]) => directory.endsWith(id))?.[1].files.write("/healthy", "");
    await world.clock.pass(1000);
    expect(world.engine.inspect(id).health).toBe("healthy");
    await settle();
    expect(names).toEqual(["unhealthy", "healthy"]);
    abort.abort();
    await world.engine.stop(id, {}, call);
    expect(world.engine.inspect(id).health).toBe("none");
  });

  it("that hang are killed and count as failures; the start period forgives", async () => {
    const check = { test: ["CMD", "sleep", "1000"], intervalMs: 1000, timeoutMs: 100, startPeriodMs: 4000, retries: 1 };
    const { id } = await world.engine.create(makeRequest({ healthCheck: check }), call);
    await world.engine.start(id, call);
    await world.clock.pass(3900);
    expect(world.engine.inspect(id).health).toBe("starting");
    await world.clock.pass(2000);
    expect(world.engine.inspect(id).health).toBe("unhealthy");
    const supervisor = [...world.host.standing.values()].find(({ spec }) => spec.workload === id);
    expect([...(supervisor?.processes.values() ?? [])].filter(({ status }) => status === undefined).length).toBeLessThanOrEqual(2);
  });
});
