import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import type { WorkloadRequest } from "./index.ts";
import { settle } from "./testkit/manual-clock.ts";
import { makeRequest, makeWorld, type World } from "./testkit/world.ts";

const call = plainCall();
let world: World;
beforeEach(() => {
  world = makeWorld();
});
afterEach(() => world.dispose());

const start = async (changes: Partial<WorkloadRequest> = {}) => {
  const { id } = await world.engine.create(makeRequest(changes), call);
  await world.engine.start(id, call);
  return id;
};

describe("stop", () => {
  it("sends the stop signal, and the program answers it", async () => {
    const id = await start({ command: ["trap", "SIGUSR1", "7"], stopSignal: "USR1" });
    await world.engine.stop(id, {}, call);
    expect(world.engine.inspect(id)).toMatchObject({ state: "exited", exit: { code: 7 } });
  });

  it("kills after the timeout what does not answer", async () => {
    const id = await start({ command: ["ignore", "SIGTERM"] });
    const stopping = world.engine.stop(id, { timeoutSeconds: 3 }, call);
    await world.clock.pass(2900);
    expect(world.engine.inspect(id).state).toBe("running");
    await world.clock.pass(200);
    await stopping;
    expect(world.engine.inspect(id).exit).toMatchObject({ code: 137, signal: "SIGKILL" });
  });

  it("takes the workload's own timeout, then ten seconds", async () => {
    const own = await start({ command: ["ignore", "SIGTERM"], stopTimeoutSeconds: 1 });
    const usual = await start({ command: ["ignore", "SIGTERM"] });
    const stopping = Promise.all([world.engine.stop(own, {}, call), world.engine.stop(usual, {}, call)]);
    await world.clock.pass(1100);
    expect([own, usual].map((id) => world.engine.inspect(id).state)).toEqual(["exited", "running"]);
    await world.clock.pass(9000);
    await stopping;
  });

  it("ends the whole boundary when even SIGKILL is not answered", async () => {
    const id = await start({ command: ["ignore", "SIGTERM"] });
    const supervisor = [...world.host.standing.values()][0];
    if (supervisor !== undefined) supervisor.main.signal = () => true;
    const stopping = world.engine.stop(id, { timeoutSeconds: 1 }, call);
    await world.clock.pass(1000);
    expect(world.engine.inspect(id).state).toBe("running");
    await world.clock.pass(2100);
    await stopping;
    expect(world.host.journal).toContain("end");
    expect(world.engine.inspect(id).state).toBe("exited");
  });

  it("is carried through when the caller goes away", async () => {
    const id = await start({ command: ["ignore", "SIGTERM"] });
    const abort = new AbortController();
    const stopping = world.engine.stop(id, { timeoutSeconds: 1 }, plainCall(abort.signal));
    await settle();
    abort.abort();
    await world.clock.pass(1100);
    await stopping;
    expect(world.engine.inspect(id).state).toBe("exited");
  });

  it("of what does not run is UNCHANGED", async () => {
    const { id } = await world.engine.create(makeRequest(), call);
    await expect(world.engine.stop(id, {}, call)).rejects.toMatchObject({ code: "UNCHANGED" });
  });

  it("stops what is paused", async () => {
    const id = await start({ command: ["trap", "SIGTERM", "4"] });
    await world.engine.pause(id, call);
    await world.engine.stop(id, {}, call);
    expect(world.engine.inspect(id).exit?.code).toBe(4);
  });

  it("of one workload does not hold up another", async () => {
    const slow = await start({ command: ["ignore", "SIGTERM"] });
    const stopping = world.engine.stop(slow, { timeoutSeconds: 100 }, call);
    const quick = await start();
    await world.engine.stop(quick, {}, call);
    expect(world.engine.inspect(quick).state).toBe("exited");
    await world.engine.kill(slow, "KILL", call);
    await stopping;
  });
});

describe("restart", () => {
  it("stops and starts again, and starts what did not run", async () => {
    const id = await start();
    await world.engine.restart(id, {}, call);
    expect(world.engine.inspect(id).state).toBe("running");
    await world.engine.stop(id, {}, call);
    await world.engine.restart(id, {}, call);
    expect(world.engine.inspect(id)).toMatchObject({ state: "running", restartCount: 0 });
  });
});

describe("restart of what removes itself", () => {
  it("keeps it, and removes it at its own end", async () => {
    const id = await start({ command: ["sleep", "100"], autoRemove: true });
    await world.engine.restart(id, {}, call);
    expect(world.engine.inspect(id).state).toBe("running");
    await world.engine.stop(id, {}, call);
    expect(world.engine.list()).toEqual([]);
  });
});

describe("kill", () => {
  it("sends any signal by name or number", async () => {
    const id = await start({ command: ["trap", "SIGUSR1", "3"] });
    await world.engine.kill(id, "10", call);
    await settle();
    expect(world.engine.inspect(id).exit?.code).toBe(3);
  });

  it("with SIGKILL answers when it is dead, and no policy raises it again", async () => {
    const id = await start({ restart: { name: "always", maximumRetries: 0 } });
    await world.engine.kill(id, "", call);
    expect(world.engine.inspect(id)).toMatchObject({ state: "exited", exit: { code: 137 } });
    await world.clock.pass(5000);
    expect(world.engine.inspect(id).state).toBe("exited");
  });

  it("of what does not run is WRONG_STATE, and of no signal INVALID_SPEC", async () => {
    const id = await start();
    await expect(world.engine.kill(id, "SIGNOTHING", call)).rejects.toMatchObject({ code: "INVALID_SPEC" });
    await world.engine.stop(id, {}, call);
    await expect(world.engine.kill(id, "TERM", call)).rejects.toMatchObject({ code: "WRONG_STATE" });
  });
});

describe("pause", () => {
  it("is seen, undone, and refused twice", async () => {
    const id = await start();
    await world.engine.pause(id, call);
    expect(world.engine.inspect(id).state).toBe("paused");
    await expect(world.engine.pause(id, call)).rejects.toMatchObject({ code: "WRONG_STATE" });
    await expect(world.engine.start(id, call)).rejects.toMatchObject({ code: "WRONG_STATE" });
    await world.engine.resume(id, call);
    await expect(world.engine.resume(id, call)).rejects.toMatchObject({ code: "WRONG_STATE" });
  });

  it("is UNSUPPORTED, by the boundary's name, where the facet is absent", async () => {
    const plain = makeWorld({ driver: { facets: [] } });
    const { id } = await plain.engine.create(makeRequest(), call);
    await plain.engine.start(id, call);
    await expect(plain.engine.pause(id, call)).rejects.toMatchObject({ code: "UNSUPPORTED", boundary: "container" });
    await expect(plain.engine.top(id, call)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await expect(plain.engine.update(id, { limits: { pids: 5 } }, call)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    expect(plain.engine.inspect(id).request.limits).toEqual({});
    const exec = await plain.engine.createExec(
      id,
      { command: ["true"], environment: [], terminal: false, attach: { stdin: false, stdout: true, stderr: true }, privileged: false },
      call,
    );
    await expect(plain.engine.startExec(exec.id, { detach: false }, call)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    plain.dispose();
  });
});
