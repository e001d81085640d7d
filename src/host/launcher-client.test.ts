import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { plainCall } from "../contract/call.ts";
import type { LaunchPlan } from "../contract/launch-plan.ts";
import { encodeMessage } from "./frame-codec.ts";
import { LauncherClient } from "./launcher-client.ts";
import { raise } from "./raise.ts";
import { FakeSupervisor } from "./testkit/fake-supervisor.ts";

const HELLO = { version: 1, pid: 7, rootId: "0a1b2c", cgroup: "v1" };
const PLAN = { workload: "w", directory: "/d" } as LaunchPlan;
const { log } = plainCall();
let directory: string;
/** The launcher's wire has the same form as the supervisor's. */
let server: FakeSupervisor;
let client: LauncherClient;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-launcher-"));
  server = new FakeSupervisor(join(directory, "l.sock"));
  server.hello = HELLO;
  await server.listen();
  client = new LauncherClient({ socket: server.path, log });
});
afterEach(async () => {
  client.close();
  await server.die();
  rmSync(directory, { recursive: true, force: true });
});

test("requests share one greeted connection, and answers may come in any order", async () => {
  const held: number[] = [];
  server.answer = (ask) => {
    if (ask.verb !== "peer") return "default";
    held.push(ask.id);
    if (held.length === 2)
      for (const id of held.toReversed())
        for (const { socket } of server.connections) socket.write(encodeMessage({ id, ok: { pid: id, uid: 0, gid: 0, groups: [] } }));
    return undefined;
  };
  const [first, second] = await Promise.all([client.request("peer", { fd: 1 }), client.request("peer", { fd: 2 })]);
  expect([first.pid, second.pid]).toEqual(held);
  expect(server.asked.filter((ask) => ask.verb === "hello")).toHaveLength(1);
  expect(await client.hello()).toEqual(HELLO);
});

test("progress comes before the answer", async () => {
  const phases: unknown[] = [];
  server.answer = (ask) => {
    if (ask.verb === "launch")
      for (const phase of ["one", "two"]) for (const { socket } of server.connections) socket.write(encodeMessage({ id: ask.id, progress: { phase } }));
    return ask.verb === "launch" ? { ok: { supervisorPid: 1, mainPid: 2 } } : "default";
  };
  expect(await raise(client, PLAN, { ...plainCall(), reached: (phase) => void phases.push(phase) })).toEqual({ mainPid: 2 });
  expect(phases).toEqual(["one", "two"]);
});

test("a failure keeps its code and remedy", async () => {
  server.answer = (ask) => (ask.verb === "peer" ? { failure: { code: "NOT_FOUND", what: "no such descriptor", remedy: "open it" } } : "default");
  await expect(client.request("peer", { fd: 9 })).rejects.toMatchObject({ code: "NOT_FOUND", message: "no such descriptor", remedy: "open it" });
});

test("a launcher of another version is refused by name", async () => {
  server.hello = { ...HELLO, version: 2 };
  await expect(client.hello()).rejects.toMatchObject({ code: "UNAVAILABLE", message: expect.stringContaining("version 2") });
});

test("where none answers one is started, and where that fails the reason is told", async () => {
  await server.die();
  await expect(client.hello()).rejects.toMatchObject({ code: "CONNECTION_LOST", remedy: expect.stringContaining("bulkhead-launcher") });
  let started = 0;
  const starting = new LauncherClient({
    socket: server.path,
    log,
    start: async () => {
      started++;
      await server.listen();
    },
  });
  expect(await Promise.all([starting.hello(), starting.hello()])).toEqual([HELLO, HELLO]);
  expect(started).toBe(1);
  starting.close();
});

test("what was under way when the launcher died is told as lost, and the next request finds the new one", async () => {
  server.answer = (ask) => (ask.verb === "launch" ? undefined : "default");
  await client.hello();
  const launch = client.request("launch", { plan: PLAN });
  const lost = expect(launch).rejects.toMatchObject({ code: "CONNECTION_LOST" });
  await server.die();
  await lost;
  server.answer = () => "default";
  await server.listen();
  await expect(client.request("peer", { fd: 1 })).resolves.toBeDefined();
});

test("an aborted launch is cleared away before it is told, also where it stood after all", async () => {
  const abort = new AbortController();
  let launchId = 0;
  server.answer = (ask) => {
    if (ask.verb === "launch") {
      launchId = ask.id;
      setImmediate(() => abort.abort());
      return undefined;
    }
    // Too young to be found: it stands a moment later.
    if (ask.verb === "remove") setImmediate(() => server.reply(launchId, { ok: { supervisorPid: 1, mainPid: 2 } }));
    return ask.verb === "remove" && server.asked.filter(({ verb }) => verb === "remove").length > 1 ? { ok: {} } : "default";
  };
  await expect(raise(client, PLAN, plainCall(abort.signal))).rejects.toMatchObject({ code: "CANCELLED" });
  expect(server.asked.filter(({ verb }) => verb === "remove")).toMatchObject([{ keepDirectory: true }, { workload: "w", keepDirectory: true }]);
  await expect(raise(client, PLAN, plainCall(abort.signal))).rejects.toMatchObject({ code: "CANCELLED" });
});
