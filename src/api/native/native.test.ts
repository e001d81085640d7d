import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Client } from "../../../sdk/src/index.ts";
import { FRAME_KIND, type Frame } from "../../contract/frame.ts";
import { startFakeDaemon, type FakeDaemon } from "../testkit/fake-daemon.ts";
import { ask, RawClient, splitHead } from "../testkit/raw-client.ts";
import { FrameReader, frameHeader, messageFrame } from "./frames.ts";

let daemon: FakeDaemon;
beforeEach(async () => {
  daemon = await startFakeDaemon();
});
afterEach(() => daemon.close());

const UPGRADE = ["Connection: Upgrade", "Upgrade: bulkhead-run"];

function run(body: object, path = "/bulkhead/v1/run"): RawClient {
  const client = new RawClient(daemon.socket);
  client.ask(`POST ${path}`, UPGRADE, JSON.stringify({ Image: "busybox", AttachStdout: true, AttachStderr: true, ...body }));
  return client;
}

function framesOf(text: string): readonly Frame[] {
  return new FrameReader().read(Buffer.from(splitHead(text).body, "latin1"));
}

/** Frames in words: messages as `event`, output as `stream:text`. */
function worded(frames: readonly Frame[]): readonly string[] {
  return frames.map(({ kind, payload }) => {
    const text = Buffer.from(payload).toString();
    return kind === FRAME_KIND.message ? (JSON.parse(text) as { event: string }).event : `${kind}:${text}`;
  });
}

function message(frames: readonly Frame[], event: string): Record<string, unknown> {
  const all = frames
    .filter(({ kind }) => kind === FRAME_KIND.message)
    .map(({ payload }) => JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>);
  const found = all.find((document) => document.event === event);
  if (found === undefined) throw new Error(`no ${event} in ${JSON.stringify(all)}`);
  return found;
}

describe("the one-round-trip run", () => {
  it("answers 101 with the protocol's name, then created, started, output, exited, in this order", async () => {
    const client = run({ Cmd: ["echo", "hi"], HostConfig: { AutoRemove: true } }, "/bulkhead/v1/run?name=once");
    const text = await client.untilEnd();
    expect(splitHead(text).head).toEqual([
      "HTTP/1.1 101 UPGRADED",
      "Content-Type: application/vnd.bulkhead.frames",
      "Connection: Upgrade",
      "Upgrade: bulkhead-run",
    ]);
    const frames = framesOf(text);
    expect(worded(frames)).toEqual(["created", "started", "2:hi\n", "exited"]);
    expect(message(frames, "created")).toMatchObject({ warnings: [] });
    expect(message(frames, "exited").status).toMatchObject({ code: 0, outOfMemory: false });
    expect(daemon.engine.list()).toEqual([]);
  });

  it("carries input and its end", async () => {
    const client = run({ Cmd: ["cat"], OpenStdin: true, StdinOnce: true, AttachStdin: true });
    await client.until((text) => text.includes("started"));
    for (const piece of ["one", "two"]) client.send(Buffer.concat([frameHeader(FRAME_KIND.stdin, piece.length), Buffer.from(piece)]));
    client.send(Buffer.concat([frameHeader(FRAME_KIND.end, 1), Buffer.from([FRAME_KIND.stdin])]));
    const frames = framesOf(await client.untilEnd());
    expect(
      frames
        .filter(({ kind }) => kind === FRAME_KIND.stdout)
        .map(({ payload }) => Buffer.from(payload).toString())
        .join(""),
    ).toBe("onetwo");
    expect(message(frames, "exited").status).toMatchObject({ code: 0 });
  });

  it("obeys wishes: a resize and a signal", async () => {
    const client = run({ Cmd: ["size", "SIGWINCH"], Tty: true });
    await client.until((text) => text.includes("24 80") || text.includes("0 0"));
    client.send(Buffer.concat(messageFrame({ verb: "resize", rows: 33, columns: 101 })));
    expect(await client.untilEnd()).toContain("33 101");
    const other = run({ Cmd: ["sleep", "1000"] });
    await other.until((text) => text.includes("started"));
    other.send(Buffer.concat(messageFrame({ verb: "signal", signal: "SIGKILL" })));
    expect(message(framesOf(await other.untilEnd()), "exited").status).toMatchObject({ code: 137 });
  });

  it("answers an ordinary status before the upgrade: no image, no upgrade asked for, a body that is none", async () => {
    expect(splitHead(await run({ Image: "x:y" }).untilEnd()).head[0]).toBe("HTTP/1.1 404 Not Found");
    expect((await ask(daemon.socket, "POST", "/bulkhead/v1/run", { body: { Image: "busybox" } })).status).toBe(400);
    expect(splitHead(await run({ Image: 7 }).untilEnd()).head[0]).toBe("HTTP/1.1 400 Bad Request");
  });

  it("says why a command could not be started, and leaves nothing of it", async () => {
    const frames = framesOf(await run({ Cmd: ["nope"] }).untilEnd());
    expect(worded(frames)).toEqual(["created", "failed"]);
    expect(message(frames, "failed").failure).toMatchObject({ code: "COMMAND_NOT_FOUND" });
    expect(daemon.engine.list()).toEqual([]);
  });

  it("lets the workload run on when its client leaves, and when its client speaks nonsense", async () => {
    const client = run({ Cmd: ["sleep", "1000"] });
    await client.until((text) => text.includes("started"));
    client.close();
    const rude = run({ Cmd: ["sleep", "1000"] });
    await rude.until((text) => text.includes("started"));
    rude.send(Buffer.alloc(9, 0xff));
    await rude.untilEnd();
    expect(daemon.engine.list().map(({ state }) => state)).toEqual(["running", "running"]);
  });
});

describe("what the native part tells", () => {
  const get = async (path: string) => (await ask(daemon.socket, "GET", `/bulkhead/v1${path}`)).json;

  it("names itself, its boundaries, its probes and its findings", async () => {
    expect(await get("/version")).toMatchObject({ product: "Bulkhead", native: "v1", docker: { newest: "1.48", oldest: "1.24" } });
    expect(await get("/capabilities")).toMatchObject({
      defaultIsolation: "container",
      boundaries: [
        { kind: "container", usable: true },
        { kind: "microvm", usable: false },
      ],
    });
    expect(await get("/probes?isolation=microvm")).toMatchObject({
      probes: [{ kind: "microvm", findings: [{ id: "kvm-boots", remedy: "Enable virtualisation." }] }],
    });
    expect((await ask(daemon.socket, "GET", "/bulkhead/v1/probes?isolation=bogus")).status).toBe(400);
    expect(await get("/doctor")).toMatchObject({ schemaVersion: 1, findings: [{ id: "kvm-boots", level: "missing" }] });
  });

  it("says that it cannot be stopped over its socket where nobody gave it the means", async () => {
    const { status, json } = await ask(daemon.socket, "POST", "/bulkhead/v1/shutdown");
    expect([status, json.code]).toEqual([501, "UNSUPPORTED"]);
  });

  it("passes a signal on to an exec", async () => {
    await ask(daemon.socket, "POST", "/containers/create?name=web", { body: { Image: "busybox", Cmd: ["sleep", "1000"] } });
    await ask(daemon.socket, "POST", "/containers/web/start");
    const { json } = await ask(daemon.socket, "POST", "/containers/web/exec", { body: { Cmd: ["sleep", "1000"] } });
    const id = String(json.Id);
    await ask(daemon.socket, "POST", `/exec/${id}/start`, { body: { Detach: true } });
    expect((await ask(daemon.socket, "POST", `/bulkhead/v1/execs/${id}/signal`, { body: { Signal: "SIGKILL" } })).json).toEqual({ delivered: true });
    expect((await ask(daemon.socket, "GET", `/exec/${id}/json`)).json).toMatchObject({ Running: false, ExitCode: 137 });
    expect((await ask(daemon.socket, "POST", "/bulkhead/v1/execs/none/signal", { body: { Signal: "SIGKILL" } })).status).toBe(404);
  });

  it("makes a debug session, which is an exec that ends when whoever has its terminal leaves", async () => {
    const client = new Client({ host: `unix://${daemon.socket}` });
    await ask(daemon.socket, "POST", "/containers/create?name=looked-at", { body: { Image: "busybox", Cmd: ["sleep", "1000"] } });
    await ask(daemon.socket, "POST", "/containers/looked-at/start");
    const id = await client.execs.debug("looked-at", { Image: "busybox", Cmd: ["sleep", "1000"], Tty: true, AttachStdin: true, AttachStdout: true });
    const attached = await client.execs.start(id, { terminal: true });
    expect(await client.execs.inspect(id)).toMatchObject({ Running: true });
    attached.close();
    await expect.poll(() => client.execs.inspect(id)).toMatchObject({ Running: false, ExitCode: 137 });
    expect((await ask(daemon.socket, "POST", "/bulkhead/v1/workloads/looked-at/debug", { body: {} })).status).toBe(400);
    const missing = await ask(daemon.socket, "POST", "/bulkhead/v1/workloads/looked-at/debug", { body: { Image: "none" } });
    expect([missing.status, missing.json.message]).toEqual([404, expect.stringContaining("No such image: none")]);
    client.close();
  });

  it("shows a workload as the engine sees it", async () => {
    await ask(daemon.socket, "POST", "/containers/create?name=web", { body: { Image: "busybox" } });
    expect(await get("/workloads/web")).toMatchObject({ name: "web", state: "created", boundary: { kind: "container" } });
    expect(await get("/workloads")).toMatchObject({ workloads: [{ name: "web" }] });
  });
});

describe("frames", () => {
  it("are read whole from any cut of the bytes, and refused where they cannot be", () => {
    const bytes = Buffer.concat([...messageFrame({ a: 1 }), frameHeader(FRAME_KIND.stdin, 3), Buffer.from("abc")]);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const reader = new FrameReader();
      const frames = [...reader.read(bytes.subarray(0, cut)), ...reader.read(bytes.subarray(cut))];
      expect(frames.map(({ payload }) => Buffer.from(payload).toString())).toEqual(['{"a":1}', "abc"]);
    }
    expect(() => new FrameReader().read(frameHeader(FRAME_KIND.stdin, 2 << 20))).toThrow("longer than");
    const unknown = Buffer.alloc(9);
    unknown[4] = 77;
    expect(() => new FrameReader().read(unknown)).toThrow("unknown kind 77");
  });
});
