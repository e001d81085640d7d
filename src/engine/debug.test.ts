import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import type { ExecRequest } from "./index.ts";
import { settle } from "./testkit/manual-clock.ts";
import { makeRequest, makeWorld, type World } from "./testkit/world.ts";

const call = plainCall();
let world: World;
let workload: string;

async function begin(options: Parameters<typeof makeWorld>[0] = {}): Promise<void> {
  world = makeWorld(options);
  workload = (await world.engine.create(makeRequest({ environment: ["SECRET=1"], workingDirectory: "/srv", user: "7:7" }), call)).id;
  await world.engine.start(workload, call);
}
beforeEach(() => begin());
afterEach(() => world.dispose());

const request = (command: readonly string[], changes: Partial<ExecRequest> = {}): ExecRequest => ({
  command,
  environment: ["OWN=2"],
  terminal: false,
  attach: { stdin: true, stdout: true, stderr: true },
  privileged: false,
  tools: "rich",
  ...changes,
});

async function run(command: readonly string[], changes: Partial<ExecRequest> = {}): Promise<string> {
  const { id } = await world.engine.createExec(workload, request(command, changes), call);
  const attachment = await world.engine.startExec(id, { detach: false }, call);
  let text = "";
  for await (const { bytes } of attachment?.output ?? []) text += Buffer.from(bytes).toString();
  return text;
}

describe("a debug session", () => {
  it("has the tools' variables and none of the workload's, and is root at the root of the tools unless told otherwise", async () => {
    const environment = await run(["environment"]);
    expect(environment).toContain("A=image\n");
    expect(environment).toContain("OWN=2\n");
    expect(environment).not.toContain("SECRET");
    expect([await run(["directory"]), await run(["user"])]).toEqual(["/\n", "0:0\n"]);
    expect([await run(["directory"], { workingDirectory: "/etc" }), await run(["user"], { user: "1:1" })]).toEqual(["/etc\n", "1:1\n"]);
  });

  it("keeps its image, by id, from its creation to its end, also in a later daemon", async () => {
    const { id } = await world.engine.createExec(workload, request(["sleep", "1000"]), call);
    const held = () => [...world.images.holders].filter(([holder]) => holder !== workload);
    expect(held()).toEqual([[`exec ${id}`, "sha256:rich"]]);
    expect(world.engine.inspectExec(id).request.tools).toBe("sha256:rich");
    await world.engine.startExec(id, { detach: true }, call);
    await world.restart();
    expect(held()).toHaveLength(1);
    await world.engine.signalExec(id, "SIGKILL", call);
    await settle();
    expect([world.engine.inspectExec(id).running, held()]).toEqual([false, []]);
  });

  it("that is never started lets go of its image", async () => {
    await world.engine.createExec(workload, request(["sleep", "1000"]), call);
    await world.clock.pass(5 * 60_000);
    expect([...world.images.holders.keys()]).toEqual([workload]);
  });

  it("is refused where its image is missing, and by name where nothing can stand beside the workload", async () => {
    await expect(world.engine.createExec(workload, request(["sh"], { tools: "none" }), call)).rejects.toMatchObject({ code: "NOT_FOUND" });
    world.dispose();
    await begin({ driver: { facets: ["exec"] } });
    await expect(world.engine.createExec(workload, request(["sh"]), call)).rejects.toMatchObject({
      code: "UNSUPPORTED",
      remedy: expect.stringContaining("bulkhead exec") as unknown,
    });
    expect([...world.images.holders.keys()]).toEqual([workload]);
  });
});
