import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { Attachment } from "../contract/process.ts";
import type { EngineEvent } from "./index.ts";
import { settle } from "./testkit/manual-clock.ts";
import { makeRequest, makeWorld, type World } from "./testkit/world.ts";

const call = plainCall();
const ALL = { stdin: true, stdout: true, stderr: true };

async function read({ output }: Attachment): Promise<string> {
  let text = "";
  for await (const { stream, bytes } of output) text += `${stream}:${Buffer.from(bytes).toString()}`;
  return text;
}

let world: World;
beforeEach(() => {
  world = makeWorld();
});
afterEach(() => world.dispose());

const launched = () => world.host.journal.filter((step) => step === "launch").length;
const start = async (changes: Parameters<typeof makeRequest>[0] = {}) => {
  const { id } = await world.engine.create(makeRequest(changes), call);
  await world.engine.start(id, call);
  return id;
};

describe("run", () => {
  it("goes as docker run --rm does: create, attach, wait for removal, start, output, gone", async () => {
    const { engine } = world;
    const { id } = await engine.create(makeRequest({ name: "hello", command: ["echo", "hi"], autoRemove: true }), call);
    const attachment = await engine.attach(id, ALL, call);
    const removed = engine.wait(id, "removed", call);
    await engine.start(id, call);
    expect(await read(attachment)).toBe("stdout:hi\n");
    expect((await removed).status.code).toBe(0);
    expect(engine.list()).toEqual([]);
    expect(world.networks.members.size).toBe(0);
    await settle();
    expect(world.host.snapshot()).toEqual({ standing: [], places: [] });
    expect(world.disk.count("workloads")).toBe(0);
    expect(world.images.holders.size).toBe(0);
  });

  it("needs five writes of state, and start one round trip to the supervisor", async () => {
    const { engine } = world;
    const { id } = await engine.create(makeRequest({ command: ["sleep", "1"], autoRemove: true }), call);
    await settle();
    const before = world.host.journal.length;
    const removed = engine.wait(id, "removed", call);
    await engine.start(id, call);
    expect(world.host.journal.slice(before)).toEqual(["start"]);
    await world.clock.pass(1000);
    await removed;
    await settle();
    // created, launching, running, removing, gone
    expect(world.disk.writes).toBe(5);
  });

  it("frees name, port and address before a wait for removal is answered", async () => {
    const { engine } = world;
    const ports = [{ protocol: "tcp" as const, hostAddress: "", hostPort: 8080, workloadPort: 80 }];
    const id = await start({ name: "web", command: ["sleep", "1"], autoRemove: true, ports });
    world.host.expect("remove", { act: "hang" });
    const removed = engine.wait(id, "removed", call);
    await world.clock.pass(1000);
    await removed;
    const again = await engine.create(makeRequest({ name: "web", ports }), call);
    await engine.start(again.id, call);
    expect(engine.inspect("web").state).toBe("running");
  });

  it("answers a wait that was registered before start, also when the end comes at once", async () => {
    const { engine } = world;
    const { id } = await engine.create(makeRequest({ command: ["exit", "42"] }), call);
    const exit = engine.wait(id, "next-exit", call);
    await engine.start(id, call);
    expect((await exit).status.code).toBe(42);
    expect((await engine.wait(id, "not-running", call)).status.code).toBe(42);
    expect(engine.inspect(id)).toMatchObject({ state: "exited", exit: { code: 42 } });
  });

  it("joins input that was written before start", async () => {
    const { engine } = world;
    const { id } = await engine.create(makeRequest({ command: ["cat"], stdin: true, stdinOnce: true }), call);
    const attachment = await engine.attach(id, ALL, call);
    const writing = attachment.write(Buffer.from("early words")).then(() => attachment.endInput());
    await engine.start(id, call);
    expect(await read(attachment)).toBe("stdout:early words");
    await writing;
  });

  it("keeps an attachment through a launch ahead that was given up", async () => {
    const { engine } = world;
    const { id } = await engine.create(makeRequest({ command: ["echo", "late"] }), call);
    const attachment = await engine.attach(id, ALL, call);
    await world.clock.pass(2500);
    expect(world.host.standing.size).toBe(0);
    await engine.start(id, call);
    expect(launched()).toBe(2);
    expect(await read(attachment)).toBe("stdout:late\n");
  });

  it("ends an attachment when the start fails, and when the workload is removed unstarted", async () => {
    const { engine } = world;
    const { id } = await engine.create(makeRequest({ command: ["no-such-command"] }), call);
    const attachment = await engine.attach(id, ALL, call);
    await expect(engine.start(id, call)).rejects.toMatchObject({ code: "COMMAND_NOT_FOUND" });
    expect(await read(attachment)).toBe("");
    const other = await engine.attach(id, ALL, call);
    await engine.remove(id, { force: false, volumes: false }, call);
    expect(await read(other)).toBe("");
    await expect(other.write(Buffer.from("x"))).rejects.toMatchObject({ code: "WRONG_STATE" });
  });

  it("records why it could not be started, and frees what it had reserved", async () => {
    const { engine } = world;
    const { id } = await engine.create(makeRequest({ command: ["not-executable"] }), call);
    const exit = engine.wait(id, "next-exit", call);
    await expect(engine.start(id, call)).rejects.toMatchObject({ code: "COMMAND_NOT_EXECUTABLE" });
    expect((await exit).status.code).toBe(126);
    expect(engine.inspect(id)).toMatchObject({ state: "created", exit: { code: 126 } });
    expect(engine.inspect(id).error).toContain("cannot be executed");
    expect(world.networks.members.size).toBe(0);
    expect(world.host.standing.size).toBe(0);
  });

  it("removes itself when it was to be removed and could not be started", async () => {
    const { engine } = world;
    const { id } = await engine.create(makeRequest({ command: ["no-such-command"], autoRemove: true }), call);
    const removed = engine.wait(id, "removed", call);
    await expect(engine.start(id, call)).rejects.toThrow();
    expect((await removed).status.code).toBe(127);
    await settle();
    expect(world.host.snapshot()).toEqual({ standing: [], places: [] });
  });

  it("says that it runs already", async () => {
    const id = await start();
    await expect(world.engine.start(id, call)).rejects.toMatchObject({ code: "UNCHANGED" });
  });

  it("can be stopped and started again on the same files", async () => {
    const { engine } = world;
    const id = await start({ command: ["write", "/kept", "x"] });
    await settle();
    expect(engine.inspect(id).state).toBe("exited");
    await engine.start(id, call);
    await settle();
    expect(engine.inspect(id).exit?.code).toBe(0);
    expect(engine.inspect(id).startedAt).toBeTruthy();
  });

  it("tells its story in events, in order", async () => {
    const seen: EngineEvent[] = [];
    const abort = new AbortController();
    const reading = (async () => {
      for await (const event of world.engine.events({}, plainCall(abort.signal))) seen.push(event);
    })();
    await start({ command: ["true"], autoRemove: true });
    await settle();
    abort.abort();
    await reading;
    expect(seen.map(({ name }) => name)).toEqual(["created", "started", "died", "removed"]);
    expect(seen[2]?.attributes.exitCode).toBe("0");
  });

  it("reports a lost boundary as what it is, to who asks and to who listens", async () => {
    const died: EngineEvent[] = [];
    const abort = new AbortController();
    void (async () => {
      for await (const event of world.engine.events({}, plainCall(abort.signal))) if (event.name === "died") died.push(event);
    })();
    const id = await start();
    [...world.host.standing.values()][0]?.lose("the supervisor was killed");
    await settle();
    abort.abort();
    expect(died.map(({ attributes }) => attributes)).toMatchObject([{ exitCode: "137", boundaryLost: "the supervisor was killed" }]);
    expect(world.engine.inspect(id)).toMatchObject({ state: "exited", exit: { code: 137 }, error: "the supervisor was killed" });
  });

  it("reports out of memory as such", async () => {
    const events: string[] = [];
    const abort = new AbortController();
    void (async () => {
      for await (const event of world.engine.events({}, plainCall(abort.signal))) events.push(event.name);
    })();
    const id = await start({ command: ["hog"], limits: { memoryBytes: 64 * 1024 * 1024 } });
    await settle();
    expect(world.engine.inspect(id).exit).toMatchObject({ code: 137, outOfMemory: true });
    expect(events).toContain("out-of-memory");
    abort.abort();
  });
});

describe("launch ahead", () => {
  it("holds the main process before start is asked for", async () => {
    await world.engine.create(makeRequest(), call);
    await settle();
    expect([...world.host.standing.values()][0]?.state).toBe("held");
  });

  it("is given up after two seconds without a start, and its port is free then", async () => {
    const ports = [{ protocol: "tcp" as const, hostAddress: "", hostPort: 8080, workloadPort: 80 }];
    await world.engine.create(makeRequest({ ports }), call);
    await world.clock.pass(1900);
    expect(world.networks.members.size).toBe(1);
    await world.clock.pass(200);
    expect(world.networks.members.size).toBe(0);
    expect(world.host.standing.size).toBe(0);
    expect(world.engine.list()[0]).toMatchObject({ state: "created" });
  });

  it("is not begun for a ninth, and not where memory is short", async () => {
    for (let count = 0; count < 9; count++) await world.engine.create(makeRequest(), call);
    await settle();
    expect(world.host.standing.size).toBe(8);
    const poor = makeWorld({ engine: { availableMemory: () => 1024 } });
    const { id } = await poor.engine.create(makeRequest(), call);
    await settle();
    expect(poor.host.standing.size).toBe(0);
    await poor.engine.start(id, call);
    expect(poor.engine.inspect(id).state).toBe("running");
    poor.dispose();
  });

  it("is discarded when the limits change, and the next has the new ones", async () => {
    const { engine } = world;
    const { id } = await engine.create(makeRequest({ limits: { pids: 10 } }), call);
    await engine.update(id, { limits: { pids: 20 } }, call);
    await engine.start(id, call);
    expect((await engine.stats(id, call)).pidsLimit).toBe(20);
  });

  it("takes other ports where any would do and another program has the first ones", async () => {
    const wish = { protocol: "tcp" as const, hostAddress: "", workloadPort: 80 };
    const loseFourTimes = () => {
      for (let times = 0; times < 4; times++) world.host.failNext("launch", new Failure("ALREADY_EXISTS", "port 40003 of the host is already taken"));
    };
    loseFourTimes();
    const id = await start({ ports: [{ ...wish, hostPort: 0 }] });
    expect(world.engine.inspect(id).state).toBe("running");
    loseFourTimes();
    await expect(start({ ports: [{ ...wish, hostPort: 8080 }] })).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
  });

  it("that failed is tried again at start, and start tells why", async () => {
    world.host.failNext("launch", new Failure("EXHAUSTED", "no room just now"));
    const { id } = await world.engine.create(makeRequest(), call);
    await settle();
    await world.engine.start(id, call);
    expect(world.engine.inspect(id).state).toBe("running");
    world.host.failNext("launch");
    world.host.failNext("launch", new Failure("EXHAUSTED", "no room at all"));
    const other = await world.engine.create(makeRequest(), call);
    await expect(world.engine.start(other.id, call)).rejects.toMatchObject({ code: "EXHAUSTED" });
  });

  it("whose boundary is lost while held costs nothing but another launch", async () => {
    const { id } = await world.engine.create(makeRequest(), call);
    await settle();
    [...world.host.standing.values()][0]?.lose("killed while held");
    await settle();
    await world.engine.start(id, call);
    expect(world.engine.inspect(id).state).toBe("running");
  });

  it("is undone by an aborted start", async () => {
    const poor = makeWorld({ engine: { availableMemory: () => 0 } });
    const { id } = await poor.engine.create(makeRequest(), call);
    poor.host.expect("launch", { act: "hang" });
    const abort = new AbortController();
    const starting = poor.engine.start(id, plainCall(abort.signal));
    await settle();
    abort.abort();
    await expect(starting).rejects.toMatchObject({ code: "CANCELLED" });
    expect(poor.networks.members.size).toBe(0);
    await poor.engine.start(id, call);
    expect(poor.engine.inspect(id).state).toBe("running");
    poor.dispose();
  });
});

describe("restart policy", () => {
  it("starts it again with growing delays, and counts", async () => {
    const { engine } = world;
    const id = await start({ command: ["exit", "1"], restart: { name: "always", maximumRetries: 0 } });
    await settle();
    expect(engine.inspect(id).state).toBe("restarting");
    await world.clock.pass(99);
    expect(launched()).toBe(1);
    await world.clock.pass(2);
    expect(launched()).toBe(2);
    await world.clock.pass(150);
    expect(launched()).toBe(2);
    await world.clock.pass(60);
    expect(launched()).toBe(3);
    expect(engine.inspect(id).restartCount).toBe(3);
  });

  it("gives up on-failure after its retries, and at once on success", async () => {
    const { engine } = world;
    const failing = await start({ command: ["exit", "3"], restart: { name: "on-failure", maximumRetries: 2 } });
    await world.clock.pass(5000);
    expect(engine.inspect(failing)).toMatchObject({ state: "exited", restartCount: 2, exit: { code: 3 } });
    const fine = await start({ command: ["true"], restart: { name: "on-failure", maximumRetries: 0 } });
    await settle();
    expect(engine.inspect(fine).state).toBe("exited");
  });

  it("keeps its address between restarts and gives it back at the end", async () => {
    const id = await start({ command: ["exit", "1"], restart: { name: "always", maximumRetries: 0 } });
    await settle();
    expect(world.networks.members.has(id)).toBe(true);
    await world.engine.stop(id, {}, call);
    expect(world.networks.members.has(id)).toBe(false);
    expect(world.engine.inspect(id).state).toBe("exited");
    await world.clock.pass(10_000);
    expect(launched()).toBe(1);
  });

  it("does not start what was stopped by hand", async () => {
    const id = await start({ restart: { name: "always", maximumRetries: 0 } });
    await world.engine.stop(id, {}, call);
    await world.clock.pass(10_000);
    expect(world.engine.inspect(id).state).toBe("exited");
    expect(launched()).toBe(1);
  });
});
