import { afterEach, beforeEach, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { EngineEvent } from "./index.ts";
import { settle } from "./testkit/manual-clock.ts";
import { makeRequest, makeWorld, type World } from "./testkit/world.ts";

const call = plainCall();
const enabled = { engine: { templates: { enabled: true, quietMs: 500 }, launchAhead: { limit: 0 } } };

let world: World;
beforeEach(() => {
  world = makeWorld(enabled);
});
afterEach(() => world.dispose());

const steps = (...names: string[]) => world.host.journal.filter((step) => names.includes(step));
const begin = async (changes: Parameters<typeof makeRequest>[0] = {}) => {
  const { id } = await world.engine.create(makeRequest({ command: ["sleep", "600"], ...changes }), call);
  await world.engine.start(id, call);
  return id;
};

it("makes a template once the first cold start is past and nothing was launched for a while, and begins the next from it", async () => {
  await begin();
  await world.clock.pass(400);
  await begin();
  await world.clock.pass(400);
  expect(steps("bake"), "it was not quiet yet").toEqual([]);
  await world.clock.pass(700);
  expect(world.engine.templates()).toMatchObject([{ kind: "container", key: "fake" }]);
  await begin();
  expect(steps("launch", "bake", "launch-template")).toEqual(["launch", "launch", "bake", "launch-template", "launch"]);
});

it("boots where a cold start was asked for, and everything where templates are switched off", async () => {
  await begin();
  await world.clock.pass(2000);
  await begin({ cold: true });
  expect(steps("launch-template")).toEqual([]);
  await world.restart({ engine: { templates: { enabled: false } } });
  await begin();
  await world.clock.pass(2000);
  expect(steps("launch-template")).toEqual([]);
  expect(steps("bake")).toHaveLength(1);
});

it("starts the same workload cold where its template fails, discards that template, and says so", async () => {
  await begin();
  await world.clock.pass(2000);
  const heard: EngineEvent[] = [];
  const stop = new AbortController();
  const listening = (async () => {
    for await (const event of world.engine.events({}, { ...call, signal: stop.signal })) heard.push(event);
  })();
  world.host.failNext("launch-template", new Failure("TIMED_OUT", "the agent did not answer"));
  const id = await begin();
  expect(world.engine.inspect(id).state).toBe("running");
  await settle();
  expect(world.engine.templates()).toEqual([]);
  expect(heard.filter(({ name }) => name === "template-discarded")).toMatchObject([
    { kind: "daemon", attributes: { workload: id, because: "the agent did not answer" } },
  ]);
  expect(world.host.snapshot().places.filter((place) => place.includes("/templates/"))).toEqual([]);
  stop.abort();
  await listening;
});

it("keeps the template where the run itself is at fault, and does not try that run again", async () => {
  await begin();
  await world.clock.pass(2000);
  world.host.failNext("launch-template", new Failure("INVALID_SPEC", "the image has no such layer"));
  await expect(begin()).rejects.toMatchObject({ code: "INVALID_SPEC" });
  expect(world.engine.templates()).toHaveLength(1);
  expect(steps("launch")).toHaveLength(1);
});

it("keeps the template where the workload does not start cold either", async () => {
  await begin();
  await world.clock.pass(2000);
  world.host.failNext("launch-template", new Failure("INTERNAL", "no"));
  world.host.failNext("launch", new Failure("INTERNAL", "no, again"));
  await expect(begin()).rejects.toMatchObject({ message: "no, again" });
  expect(world.engine.templates()).toHaveLength(1);
});

it("a bake that fails leaves nothing and is not tried again", async () => {
  world.host.failNext("bake");
  await begin();
  await world.clock.pass(2000);
  await begin();
  await world.clock.pass(2000);
  expect(steps("bake", "launch-template")).toEqual([]);
  expect(world.host.snapshot().places.filter((place) => place.includes("/templates/"))).toEqual([]);
});

it("a later daemon begins from what an earlier one made, and removes what it left half-made", async () => {
  await begin();
  await world.clock.pass(2000);
  const [whole] = world.engine.templates();
  const half = `${world.root}/templates/container/${"ab".repeat(32)}`;
  world.host.makeDirectory(half);
  await world.restart(enabled);
  await begin();
  await settle();
  expect(steps("launch-template")).toHaveLength(1);
  expect(world.engine.templates()).toEqual([whole]);
  expect(world.host.isThere(half)).toBe(false);
});

it("removing templates takes away also those that nobody has asked for yet", async () => {
  await begin();
  await world.clock.pass(2000);
  await world.restart(enabled);
  await world.engine.removeTemplates();
  expect(world.engine.templates()).toEqual([]);
  expect(world.host.snapshot().places.filter((place) => place.includes("/templates/"))).toEqual([]);
});
