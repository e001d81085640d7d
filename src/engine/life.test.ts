import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import { settle } from "./testkit/manual-clock.ts";
import { makeRequest, makeWorld, type World } from "./testkit/world.ts";

const call = plainCall();
const decode = async (output: AsyncIterable<{ stream: string; bytes: Uint8Array }>) => {
  let text = "";
  for await (const { stream, bytes } of output) text += `${stream}:${Buffer.from(bytes).toString()}`;
  return text;
};

let world: World;
beforeEach(() => {
  world = makeWorld();
});
afterEach(() => world.dispose());

describe("the life of a workload", () => {
  it("runs as docker run --rm does: create, attach, wait for removal, start, output, gone", async () => {
    const { engine } = world;
    const { id } = await engine.create(makeRequest({ name: "hello", command: ["echo", "hi"], autoRemove: true }), call);
    const attachment = await engine.attach(id, { stdin: false, stdout: true, stderr: true }, call);
    const removed = engine.wait(id, "removed", call);
    await engine.start(id, call);
    expect(await decode(attachment.output)).toBe("stdout:hi\n");
    expect((await removed).status.code).toBe(0);
    expect(engine.list()).toEqual([]);
    expect(world.networks.members.size).toBe(0);
    await settle();
    expect(world.host.snapshot()).toEqual({ standing: [], places: [] });
    expect(world.disk.count("workloads")).toBe(0);
    expect(world.images.holders.size).toBe(0);
  });
});
