import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { FakeStep } from "../contract/testkit/fake-host.ts";
import type { WorkloadRequest } from "./index.ts";
import { settle } from "./testkit/manual-clock.ts";
import { makeRequest, makeWorld, type World } from "./testkit/world.ts";

const call = plainCall();
const ALL = { stdin: true, stdout: true, stderr: true };

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

describe("after a restart of the daemon", () => {
  it("a running workload is adopted: attached to, stopped, its address kept", async () => {
    const id = await start({ name: "web", command: ["trap", "SIGTERM", "5"] });
    const address = world.engine.inspect(id).network;
    const engine = await world.restart();
    expect(engine.inspect("web")).toMatchObject({ id, state: "running", network: address });
    expect(world.networks.members.get(id)).toEqual(address);
    await engine.stop(id, {}, call);
    expect(engine.inspect(id).exit?.code).toBe(5);
  });

  it("what ended meanwhile is recorded with its true exit", async () => {
    const id = await start({ command: ["sleep", "10"] });
    world.replace();
    await world.clock.pass(20_000);
    await world.engine.recover(call);
    expect(world.engine.inspect(id)).toMatchObject({ state: "exited", exit: { code: 0 } });
    expect(world.networks.members.size).toBe(0);
  });

  it("what vanished without a word is recorded as lost", async () => {
    const id = await start();
    for (const place of world.host.places.values()) place.record = undefined;
    world.host.standing.clear();
    await world.restart();
    expect(world.engine.inspect(id)).toMatchObject({ state: "exited", exit: { code: 137 } });
    expect(world.engine.inspect(id).error).toContain("nothing of it was found");
  });

  it("a launch ahead that nobody started is ended, and its workload is as it was created", async () => {
    const { id } = await world.engine.create(makeRequest(), call);
    await settle();
    expect(world.host.standing.size).toBe(1);
    const engine = await world.restart();
    expect(world.host.standing.size).toBe(0);
    expect(engine.inspect(id)).toMatchObject({ state: "created", exit: undefined });
    await engine.start(id, call);
    expect(engine.inspect(id).state).toBe("running");
  });

  it("a paused workload is found paused", async () => {
    const id = await start();
    await world.engine.pause(id, call);
    const engine = await world.restart();
    expect(engine.inspect(id).state).toBe("paused");
    await engine.resume(id, call);
    expect(engine.inspect(id).state).toBe("running");
  });

  it("always starts again even what was stopped by hand, and unless-stopped does not", async () => {
    const always = await start({ restart: { name: "always", maximumRetries: 0 } });
    const unless = await start({ restart: { name: "unless-stopped", maximumRetries: 0 } });
    const unstarted = (await world.engine.create(makeRequest({ restart: { name: "always", maximumRetries: 0 } }), call)).id;
    await world.engine.stop(always, {}, call);
    await world.engine.stop(unless, {}, call);
    const engine = await world.restart();
    await world.clock.pass(1000);
    expect(engine.inspect(always).state).toBe("running");
    expect(engine.inspect(unless).state).toBe("exited");
    expect(engine.inspect(unstarted).state).toBe("created");
  });

  it("one that ended meanwhile is restarted by its policy", async () => {
    const id = await start({ command: ["exit", "1"], restart: { name: "unless-stopped", maximumRetries: 0 } });
    const engine = await world.restart();
    await world.clock.pass(150);
    expect(engine.inspect(id).restartCount).toBeGreaterThan(0);
  });

  it("one that removes itself and ended meanwhile is removed", async () => {
    await start({ command: ["sleep", "1"], autoRemove: true });
    world.replace();
    await world.clock.pass(5000);
    await world.engine.recover(call);
    await settle();
    expect(world.engine.list()).toEqual([]);
    expect(world.host.snapshot()).toEqual({ standing: [], places: [] });
    expect(world.disk.count("workloads")).toBe(0);
  });

  it("an exec that still runs is found again, with its true exit", async () => {
    const id = await start();
    const exec = await world.engine.createExec(
      id,
      { command: ["trap", "SIGTERM", "21"], environment: [], terminal: false, attach: ALL, privileged: false },
      call,
    );
    await world.engine.startExec(exec.id, { detach: true }, call);
    const engine = await world.restart();
    expect(engine.inspectExec(exec.id)).toMatchObject({ running: true, workload: id });
    [...world.host.standing.values()][0]?.processes.get(1)?.signal("SIGTERM");
    await settle();
    expect(engine.inspectExec(exec.id)).toMatchObject({ running: false, exit: { code: 21 } });
    expect(world.disk.count("execs")).toBe(0);
  });

  it("an exec that began when the daemon died before it knew its number is found by its name", async () => {
    const id = await start();
    const exec = await world.engine.createExec(
      id,
      { command: ["trap", "SIGTERM", "21"], environment: [], terminal: false, attach: ALL, privileged: false },
      call,
    );
    world.host.expect("exec", { act: "die", when: "after" });
    void world.engine.startExec(exec.id, { detach: true }, call).catch(() => undefined);
    await settle();
    const engine = await world.restart();
    expect(engine.inspectExec(exec.id)).toMatchObject({ running: true, workload: id });
    expect(await engine.signalExec(exec.id, "SIGTERM", call)).toBe(true);
    await settle();
    expect(engine.inspectExec(exec.id)).toMatchObject({ running: false, exit: { code: 21 } });
  });

  it("anonymous volumes of a workload that was never written down are removed", async () => {
    const { volumes } = world;
    const made = await world.engine.create(makeRequest({ image: "rich" }), call);
    await volumes.create({ madeFor: "never-written" }, call);
    await world.engine.recover(call);
    expect([...volumes.volumes.keys()]).toEqual([world.engine.inspect(made.id).mounts[0]?.volume]);
  });

  it("one whose driver cannot tell is asked about again, and not guessed at", async () => {
    const id = await start();
    world.replace();
    world.host.failNext("adopt", new Failure("UNAVAILABLE", "the launcher does not answer"));
    await world.engine.recover(call);
    expect(world.engine.inspect(id).error).toContain("does not answer");
    await world.clock.pass(2500);
    expect(world.engine.inspect(id)).toMatchObject({ state: "running", error: undefined });
    await world.engine.stop(id, { timeoutSeconds: 0 }, call);
    expect(world.engine.inspect(id).state).toBe("exited");
  });

  it("one that is still booting holds up nobody, and its start waits its turn", async () => {
    const { id } = await world.engine.create(makeRequest({ command: ["sleep", "10"] }), call);
    const other = await start();
    await settle();
    world.replace();
    const booted = Promise.withResolvers<void>();
    world.host.expect("adopt", { act: "wait", open: booted.promise, failure: () => undefined });
    const recovered = world.engine.recover(call);
    await world.clock.pass(1500);
    await recovered;
    expect(world.engine.inspect(other).state).toBe("running");
    const started = world.engine.start(id, call);
    await settle();
    expect(world.engine.inspect(id).state).toBe("created");
    booted.resolve();
    await started;
    expect(world.engine.inspect(id).state).toBe("running");
    expect(world.host.standing.size).toBe(2);
  });

  it("images and volumes stay held", async () => {
    const id = await start({ image: "rich", command: ["x"], entrypoint: ["sleep", "100"] });
    await world.restart();
    expect(world.images.holders.get(id)).toBe("sha256:rich");
    await expect(world.volumes.remove("anonymous1", call)).rejects.toMatchObject({ code: "WRONG_STATE" });
  });
});

/** What must be true of a workload after any crash: it is wholly there, or wholly gone. */
async function expectWhole(): Promise<void> {
  await settle();
  await world.clock.pass(100);
  const { engine, host, disk } = world;
  const views = engine.list();
  expect(disk.count("workloads")).toBe(views.length);
  expect(world.images.holders.size).toBe(views.length);
  for (const directory of host.places.keys()) expect(views.some(({ id }) => directory.endsWith(id))).toBe(true);
  const up = views.filter(({ state }) => state === "running" || state === "paused");
  expect(host.standing.size).toBe(up.length);
  expect([...world.networks.members.keys()].sort()).toEqual(up.map(({ id }) => id).sort());
  // Whatever is there can be lived with: started, stopped, removed by the same name.
  for (const { id, state } of views) {
    if (state !== "running" && state !== "paused") await engine.start(id, call).catch(() => {});
    await settle();
    await engine.remove(id, { force: true, volumes: true }, call);
  }
  await settle();
  expect(host.snapshot()).toEqual({ standing: [], places: [] });
  expect(disk.count("workloads")).toBe(0);
}

type Story = (world: World, reached: (what: string) => void) => Promise<void>;

const STORIES: Readonly<Record<string, Story>> = {
  "create and start": async ({ engine }, reached) => {
    const { id } = await engine.create(makeRequest({ name: "one" }), call);
    reached("created");
    await engine.start(id, call);
    reached("started");
  },
  "run to the end, removing itself": async ({ engine }, reached) => {
    const { id } = await engine.create(makeRequest({ name: "one", command: ["echo", "hi"], autoRemove: true }), call);
    const removed = engine.wait(id, "removed", call);
    await engine.start(id, call);
    await removed;
    reached("removed");
  },
  "start, stop, start again": async ({ engine }, reached) => {
    const { id } = await engine.create(makeRequest({ name: "one" }), call);
    await engine.start(id, call);
    await engine.stop(id, {}, call);
    reached("stopped");
    await engine.start(id, call);
    reached("started");
  },
  "start, exec, remove by force": async ({ engine }, reached) => {
    const { id } = await engine.create(makeRequest({ name: "one" }), call);
    await engine.start(id, call);
    const exec = await engine.createExec(id, { command: ["exit", "3"], environment: [], terminal: false, attach: ALL, privileged: false }, call);
    await engine.startExec(exec.id, { detach: true }, call);
    await engine.remove(id, { force: true, volumes: false }, call);
    reached("removed");
  },
  "start, pause, resume, rename": async ({ engine }, reached) => {
    const { id } = await engine.create(makeRequest({ name: "one" }), call);
    await engine.start(id, call);
    await engine.pause(id, call);
    reached("paused");
    await engine.resume(id, call);
    await engine.rename(id, "two", call);
    reached("renamed");
  },
  "fail to start, then be removed": async ({ engine }, reached) => {
    const { id } = await engine.create(makeRequest({ name: "one", command: ["no-such-command"] }), call);
    await engine.start(id, call).catch(() => {});
    await engine.remove(id, { force: false, volumes: false }, call);
    reached("removed");
  },
};

/** What an answered request has promised must hold in the next daemon's life. */
function expectPromises(reached: ReadonlySet<string>): void {
  const views = world.engine.list();
  if (reached.has("removed")) expect(views).toEqual([]);
  else if (reached.has("renamed")) expect(views[0]).toMatchObject({ name: "two", state: "running" });
  else if (reached.has("created") || reached.has("stopped") || reached.has("started")) expect(views.length).toBe(1);
}

/** Plays the story until the daemon dies; true where it died before the end. */
async function play(story: Story, died: () => boolean): Promise<ReadonlySet<string>> {
  const reached = new Set<string>();
  let over = false;
  const playing = story(world, (what) => void (died() || reached.add(what))).then(
    () => (over = true),
    () => (over = true),
  );
  for (let turn = 0; turn < 40 && !over && !died(); turn++) await settle();
  void playing;
  return reached;
}

describe.each(Object.entries(STORIES))("the daemon killed anywhere in: %s", (_title, story) => {
  it.each(["before", "after"] as const)("%s any write of state leaves each workload whole", async (when) => {
    for (let write = 1; ; write++) {
      world.dispose();
      world = makeWorld({ cut: { write, when } });
      const died = () => world.disk.writes >= write;
      const reached = await play(story, died);
      await settle();
      const ended = !died();
      await world.restart();
      if (!ended) expectPromises(reached);
      await expectWhole();
      if (ended) {
        expect(write).toBeGreaterThan(3);
        return;
      }
    }
  });

  it.each(["before", "after"] as const)("%s any step of the driver leaves each workload whole", async (when) => {
    const steps: readonly FakeStep[] = ["probe", "prepare", "launch", "start", "exec", "signal", "pause", "resume", "end", "remove"];
    let cuts = 0;
    for (const step of steps) {
      world.dispose();
      world = makeWorld();
      world.host.expect(step, { act: "die", when });
      const died = () => !world.host.isExpected(step);
      const reached = await play(story, died);
      await settle();
      cuts += died() ? 1 : 0;
      world.host.forgetFaults();
      await world.restart();
      expectPromises(reached);
      await expectWhole();
    }
    expect(cuts).toBeGreaterThan(3);
  });
});
