import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { WorkloadRequest } from "./index.ts";
import { settle } from "./testkit/manual-clock.ts";
import { makeRequest, makeWorld, type World } from "./testkit/world.ts";

const call = plainCall();
const GENTLY = { force: false, volumes: false };
const BY_FORCE = { force: true, volumes: false };
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

describe("remove", () => {
  it("refuses what runs, unless forced, and then nothing is left", async () => {
    const id = await start({ name: "web" });
    await expect(world.engine.remove(id, GENTLY, call)).rejects.toMatchObject({ code: "WRONG_STATE", remedy: expect.any(String) as string });
    const exit = world.engine.wait(id, "next-exit", call);
    const removed = world.engine.wait(id, "removed", call);
    await world.engine.remove(id, BY_FORCE, call);
    expect((await exit).status.code).toBe(137);
    expect((await removed).status.code).toBe(137);
    expect(() => world.engine.inspect("web")).toThrow("No such container");
    expect(world.host.snapshot()).toEqual({ standing: [], places: [] });
    expect(world.networks.members.size).toBe(0);
    expect(world.images.holders.size).toBe(0);
    expect(world.disk.count("workloads")).toBe(0);
  });

  it("of what was only created gives up its launch ahead", async () => {
    const { id } = await world.engine.create(makeRequest(), call);
    await world.engine.remove(id, GENTLY, call);
    expect(world.host.snapshot()).toEqual({ standing: [], places: [] });
    await world.clock.pass(5000);
    expect(world.disk.count("workloads")).toBe(0);
  });

  it("that failed leaves it dead with the reason, and can be asked for again", async () => {
    const { id } = await world.engine.create(makeRequest(), call);
    world.host.failNext("remove", new Failure("INTERNAL", "device or resource busy"));
    await expect(world.engine.remove(id, GENTLY, call)).rejects.toThrow("busy");
    expect(world.engine.inspect(id)).toMatchObject({ state: "dead", error: "device or resource busy" });
    await expect(world.engine.start(id, call)).rejects.toMatchObject({ code: "WRONG_STATE" });
    await world.engine.remove(id, GENTLY, call);
    expect(world.engine.list()).toEqual([]);
  });

  it("of what removes itself is tried again until it is done: nobody else can see it", async () => {
    const id = await start({ command: ["exit", "3"], autoRemove: true, name: "brief" });
    for (let time = 0; time < 3; time++) world.host.failNext("remove", new Failure("CONNECTION_LOST", "the launcher closed before it answered remove"));
    await settle();
    expect(() => world.engine.inspect("brief")).toThrow("No such container");
    expect(world.host.snapshot().places).toHaveLength(1);
    await world.clock.pass(60_000);
    expect(world.host.snapshot()).toEqual({ standing: [], places: [] });
    expect(world.disk.count("workloads")).toBe(0);
    expect(id).toBeTruthy();
  });

  it("asked for twice at once succeeds once", async () => {
    const id = await start();
    const results = await Promise.allSettled([world.engine.remove(id, BY_FORCE, call), world.engine.remove(id, BY_FORCE, call)]);
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  it("takes anonymous volumes along where asked to", async () => {
    const first = await start({ image: "rich", entrypoint: ["sleep", "9"] });
    await world.engine.remove(first, BY_FORCE, call);
    await settle();
    expect(world.volumes.volumes.size).toBe(1);
    const second = await start({ image: "rich", entrypoint: ["sleep", "9"] });
    await world.engine.remove(second, { force: true, volumes: true }, call);
    await settle();
    expect([...world.volumes.volumes.keys()]).toEqual(["anonymous1"]);
  });

  it("by force ends a start that hangs", async () => {
    const hanging = makeWorld({ engine: { availableMemory: () => 0 } });
    const { id } = await hanging.engine.create(makeRequest(), call);
    hanging.host.expect("launch", { act: "hang" });
    const starting = hanging.engine.start(id, call);
    await settle();
    await Promise.all([
      expect(starting).rejects.toMatchObject({ code: "WRONG_STATE", message: expect.stringContaining("marked for removal") }),
      hanging.engine.remove(id, BY_FORCE, call),
    ]);
    expect(hanging.engine.list()).toEqual([]);
    expect(hanging.host.snapshot()).toEqual({ standing: [], places: [] });
    hanging.dispose();
  });

  it("cancels a restart that is due", async () => {
    const id = await start({ command: ["exit", "1"], restart: { name: "always", maximumRetries: 0 } });
    await settle();
    await world.engine.remove(id, BY_FORCE, call);
    await world.clock.pass(5000);
    expect(world.engine.list()).toEqual([]);
    expect(world.disk.count("workloads")).toBe(0);
  });
});

describe("prune", () => {
  it("removes what does not run, except what shall be kept", async () => {
    const running = await start();
    const kept = (await world.engine.create(makeRequest({ labels: { keep: "yes" } }), call)).id;
    const stale = (await world.engine.create(makeRequest(), call)).id;
    const { removed } = await world.engine.prune(({ labels }) => labels.keep === "yes", call);
    expect(removed).toEqual([stale]);
    expect(
      world.engine
        .list()
        .map(({ id }) => id)
        .sort(),
    ).toEqual([running, kept].sort());
  });
});

describe("rename", () => {
  it("frees the old name and takes the new", async () => {
    const id = await start({ name: "old" });
    await world.engine.rename("old", "new", call);
    expect(world.engine.inspect("new").id).toBe(id);
    await world.engine.create(makeRequest({ name: "old" }), call);
    await expect(world.engine.rename("old", "new", call)).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    await expect(world.engine.rename("old", "!", call)).rejects.toMatchObject({ code: "INVALID_SPEC" });
  });
});

describe("pruning", () => {
  it("removes what does not run and tells what that freed", async () => {
    const measured = makeWorld({ engine: { measureDirectories: async (directories) => directories.map(() => 1000) } });
    const over = await measured.engine.create(makeRequest(), call);
    const kept = await measured.engine.create(makeRequest(), call);
    expect(await measured.engine.prune(({ id }) => id === kept.id, call)).toEqual({ removed: [over.id], freedBytes: 1000 });
    expect(await measured.engine.diskUse([over.id, kept.id], call)).toEqual(new Map([[kept.id, 1000]]));
    measured.dispose();
  });
});

describe("update", () => {
  it("changes limits while it runs, and the policy", async () => {
    const id = await start({ limits: { pids: 10, memoryBytes: 64 * 1024 * 1024 } });
    await world.engine.update(id, { limits: { pids: 33 }, restart: { name: "always", maximumRetries: 0 } }, call);
    expect(await world.engine.stats(id, call)).toMatchObject({ pidsLimit: 33, memoryLimitBytes: 64 * 1024 * 1024 });
    expect(world.engine.inspect(id).request).toMatchObject({ limits: { pids: 33 }, restart: { name: "always" } });
    await expect(world.engine.update(id, { limits: { pids: -5 } }, call)).rejects.toMatchObject({ code: "INVALID_SPEC" });
  });
});

describe("close", () => {
  it("ends nothing that runs, and gives up what was only held", async () => {
    const running = await start();
    await world.engine.create(makeRequest(), call);
    await world.engine.close();
    expect(world.host.standing.size).toBe(1);
    const engine = await world.restart();
    expect(engine.inspect(running).state).toBe("running");
  });
});

describe("a store that cannot be written", () => {
  it("keeps an end back until it is written, and then tells it", async () => {
    const { id } = await world.engine.create(makeRequest({ command: ["sleep", "1"] }), call);
    await world.engine.start(id, call);
    let told = false;
    void world.engine.wait(id, "next-exit", call).then(() => (told = true));
    world.disk.full = true;
    await world.clock.pass(2500);
    expect(told).toBe(false);
    expect(world.engine.inspect(id).state).toBe("running");
    world.disk.full = false;
    await world.clock.pass(1500);
    expect(told).toBe(true);
    expect(world.engine.inspect(id)).toMatchObject({ state: "exited", exit: { code: 0 } });
  });

  it("refuses a create, and nothing is held or reserved", async () => {
    world.disk.full = true;
    await expect(world.engine.create(makeRequest(), call)).rejects.toThrow("full");
    world.disk.full = false;
    await settle();
    expect(world.engine.list()).toEqual([]);
    expect(world.images.holders.size).toBe(0);
    expect(world.host.snapshot()).toEqual({ standing: [], places: [] });
  });
});
