import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Failure } from "../../contract/failure.ts";
import { startFakeDaemon, type FakeDaemon } from "../testkit/fake-daemon.ts";
import { ask, type Json, muxed, RawClient, splitHead, textOf } from "../testkit/raw-client.ts";

let daemon: FakeDaemon;
beforeEach(async () => {
  daemon = await startFakeDaemon();
});
afterEach(() => daemon.close());

const UPGRADE = ["Connection: Upgrade", "Upgrade: tcp"];
const get = (path: string) => ask(daemon.socket, "GET", path);
const post = (path: string, body?: unknown) => ask(daemon.socket, "POST", path, { body });

async function create(command: readonly string[], more: object = {}, query = ""): Promise<string> {
  const { status, json } = await post(`/containers/create${query}`, { Image: "busybox", Cmd: command, ...more });
  expect(status).toBe(201);
  return textOf(json.Id);
}

async function open(line: string, headers: readonly string[] = UPGRADE, body?: string): Promise<RawClient> {
  const client = new RawClient(daemon.socket);
  client.ask(line, headers, body);
  await client.until((text) => text.includes("\r\n\r\n"), "an answer's head");
  return client;
}

describe("docker run --rm, request by request", () => {
  it("attaches with 101 and three headers, waits with its headers flushed, starts with 204, and needs no DELETE", async () => {
    const id = await create(["echo", "hello"], { HostConfig: { AutoRemove: true } });
    const attached = await open(`POST /v1.48/containers/${id}/attach?stream=1&stdout=1&stderr=1`);
    // The client without input closes its half at once, and goes on reading.
    attached.socket.end();
    const waiting = await open(`POST /v1.48/containers/${id}/wait?condition=removed`, []);
    expect(splitHead(waiting.text).body).toBe("");
    expect((await post(`/containers/${id}/start`)).status).toBe(204);
    const { head, body } = splitHead(await attached.untilEnd());
    expect(head).toEqual(["HTTP/1.1 101 UPGRADED", "Content-Type: application/vnd.docker.multiplexed-stream", "Connection: Upgrade", "Upgrade: tcp"]);
    expect(body).toBe(muxed(1, "hello\n"));
    expect(await waiting.until((text) => text.includes("StatusCode"))).toContain('{"StatusCode":0}');
    expect((await get(`/containers/${id}/json`)).status).toBe(404);
    waiting.close();
  });

  it("answers a bare 200 without length or chunks where no upgrade is asked for", async () => {
    const id = await create(["echo", "hello"]);
    const attached = await open(`POST /v1.41/containers/${id}/attach?stream=1&stdout=1&stderr=1`, []);
    await post(`/containers/${id}/start`);
    const { head, body } = splitHead(await attached.untilEnd());
    // Before API 1.42 every stream was called raw.
    expect(head).toEqual(["HTTP/1.1 200 OK", "Content-Type: application/vnd.docker.raw-stream"]);
    expect(body).toBe(muxed(1, "hello\n"));
  });

  it("carries input, ends it when the client closes its half, and sends what comes after", async () => {
    for (const headers of [UPGRADE, []]) {
      const id = await create(["count"], { OpenStdin: true, StdinOnce: true, AttachStdin: true });
      const attached = await open(`POST /containers/${id}/attach?stream=1&stdin=1&stdout=1`, headers);
      await post(`/containers/${id}/start`);
      attached.send(Buffer.alloc(300_000, "x"));
      attached.socket.end("y");
      expect(splitHead(await attached.untilEnd()).body).toBe(muxed(1, "300001\n"));
    }
  });

  it("does not take a body of options for the workload's input", async () => {
    const id = await create(["cat"], { OpenStdin: true, StdinOnce: true });
    const attached = await open(`POST /containers/${id}/attach?stream=1&stdin=1&stdout=1`, UPGRADE, '{"stream":true}');
    await post(`/containers/${id}/start`);
    attached.socket.end("input");
    expect(splitHead(await attached.untilEnd()).body).toBe(muxed(1, "input"));
  });

  it("sends a terminal's bytes raw, and lets go of it at the detach keys without ending it", async () => {
    const id = await create(["cat"], { Tty: true, OpenStdin: true });
    const attached = await open(`POST /containers/${id}/attach?stream=1&stdin=1&stdout=1&detachKeys=ctrl-a,x`);
    expect(attached.text).toContain("application/vnd.docker.raw-stream");
    await post(`/containers/${id}/start`);
    attached.send("one");
    await attached.until((text) => text.endsWith("one"));
    attached.send("\x01x");
    await attached.untilEnd();
    expect((await get(`/containers/${id}/json`)).json.State).toMatchObject({ Running: true });
  });

  it("carries megabytes of output to a client that reads slowly, whole", async () => {
    const id = await create(["spew", "8388608"], { Tty: true });
    const attached = await open(`POST /containers/${id}/attach?stream=1&stdout=1`);
    attached.socket.pause();
    await post(`/containers/${id}/start`);
    setTimeout(() => attached.socket.resume(), 50);
    expect(splitHead(await attached.untilEnd()).body.length).toBe(8_388_608);
  });

  it("tells a command that is not there with 400 and the words by which the client exits 127, and 126", async () => {
    const id = await create(["nope"]);
    const missing = await post(`/containers/${id}/start`);
    expect([missing.status, missing.json.code]).toEqual([400, "COMMAND_NOT_FOUND"]);
    expect(missing.json.message).toContain("executable file not found in $PATH");
    const other = await create(["true"]);
    daemon.host.failNext("start", new Failure("COMMAND_NOT_EXECUTABLE", "cannot run /etc/passwd"));
    expect((await post(`/containers/${other}/start`)).json.message).toBe("cannot run /etc/passwd: permission denied");
  });
});

describe("creating", () => {
  it("answers 404 No such image for one that is not there, so that the client pulls it", async () => {
    const { status, json } = await post("/containers/create", { Image: "x:y" });
    expect([status, json.message]).toEqual([404, "No such image: x:y"]);
  });

  it("answers 409 for a name that is taken and 400 for one that cannot be", async () => {
    await create(["true"], {}, "?name=web");
    expect((await post("/containers/create?name=web", { Image: "busybox" })).status).toBe(409);
    expect((await post("/containers/create?name=no%20way", { Image: "busybox" })).json.message).toContain("Invalid container name");
  });

  it("refuses an unknown boundary with 400, and one that the host lacks with the finding and its remedy", async () => {
    const unknown = await post("/containers/create", { Image: "busybox", HostConfig: { Runtime: "bogus" } });
    expect([unknown.status, unknown.json.code]).toEqual([400, "INVALID_SPEC"]);
    const missing = await post("/containers/create", { Image: "busybox", HostConfig: { Runtime: "microvm" } });
    expect([missing.status, missing.json.code, missing.json.boundary]).toEqual([503, "UNAVAILABLE", "microvm"]);
    expect(missing.json.message).toContain("no guest booted");
    expect(missing.json.message).toContain("Enable virtualisation.");
  });

  it("warns about what is not carried out", async () => {
    const { json } = await post("/containers/create", { Image: "busybox", HostConfig: { BlkioWeight: 300 } });
    expect(json.Warnings).toEqual(["HostConfig.BlkioWeight is not carried out."]);
  });
});

describe("single deeds", () => {
  it("answer 304 for a start of what runs and a stop of what does not", async () => {
    const id = await create(["sleep", "1000"]);
    expect((await post(`/containers/${id}/stop`)).status).toBe(304);
    expect((await post(`/containers/${id}/start`)).status).toBe(204);
    const again = await post(`/containers/${id}/start`);
    expect([again.status, again.body.length]).toEqual([304, 0]);
    expect((await post(`/containers/${id}/stop?t=0`)).status).toBe(204);
  });

  it("answer 409 for kill, pause and exec of what has stopped, 400 for a signal that is none", async () => {
    const id = await create(["true"]);
    for (const path of ["kill", "pause"]) expect((await post(`/containers/${id}/${path}`)).status).toBe(409);
    expect((await post(`/containers/${id}/exec`, { Cmd: ["true"] })).status).toBe(409);
    expect((await post(`/containers/${id}/kill?signal=BOGUS`)).json.message).toBe('Invalid signal: "BOGUS"');
  });

  it("pause, unpause, rename, update, restart and remove", async () => {
    const id = await create(["sleep", "1000"], {}, "?name=one");
    await post(`/containers/${id}/start`);
    expect((await post(`/containers/one/pause`)).status).toBe(204);
    expect((await get(`/containers/one/json`)).json.State).toMatchObject({ Status: "paused", Paused: true, Running: true });
    expect((await post(`/containers/one/unpause`)).status).toBe(204);
    expect((await post(`/containers/one/rename?name=two`)).status).toBe(204);
    expect((await post(`/containers/two/update`, { Memory: 64 << 20, RestartPolicy: { Name: "always" } })).json.Warnings).toEqual([]);
    expect((await get(`/containers/two/json`)).json.HostConfig).toMatchObject({ Memory: 64 << 20, RestartPolicy: { Name: "always" } });
    expect((await post(`/containers/two/restart?t=0`)).status).toBe(204);
    expect((await ask(daemon.socket, "DELETE", "/containers/two")).status).toBe(409);
    expect((await ask(daemon.socket, "DELETE", "/containers/two?force=1")).status).toBe(204);
    expect((await get("/containers/two/json")).status).toBe(404);
  });

  it("prune what has ended and matches, and nothing else", async () => {
    const kept = await create(["true"], { Labels: { keep: "yes" } });
    const gone = await create(["true"]);
    const { json } = await post(`/containers/prune?filters=${encodeURIComponent('{"label!":["keep"]}')}`);
    expect(json.ContainersDeleted).toEqual([gone]);
    expect((await get(`/containers/${kept}/json`)).status).toBe(200);
  });
});

describe("waiting", () => {
  it("gives the exit code, also of what has ended already", async () => {
    const id = await create(["exit", "7"]);
    const next = await open(`POST /containers/${id}/wait?condition=next-exit`, []);
    await post(`/containers/${id}/start`);
    await next.until((text) => text.includes('{"StatusCode":7}'));
    expect((await post(`/containers/${id}/wait`)).json).toEqual({ StatusCode: 7 });
    next.close();
  });

  it("rejects an unknown container with 404 and an unknown condition with 400, before any header", async () => {
    expect((await post("/containers/nobody/wait")).status).toBe(404);
    const id = await create(["true"]);
    expect((await post(`/containers/${id}/wait?condition=someday`)).status).toBe(400);
  });

  it("does not mind a client that drops its wait", async () => {
    const id = await create(["sleep", "1000"], { HostConfig: { AutoRemove: true } });
    const waiting = await open(`POST /containers/${id}/wait?condition=removed`, []);
    waiting.close();
    expect((await post(`/containers/${id}/start`)).status).toBe(204);
  });
});

describe("listing", () => {
  const list = async (query: string): Promise<Json> => (await get(`/containers/json${query}`)).json;
  const names = async (filters: object, rest = "&all=1") => {
    const found = (await list(`?filters=${encodeURIComponent(JSON.stringify(filters))}${rest}`)) as unknown as readonly { Names: readonly string[] }[];
    return found.map(({ Names }) => Names[0]);
  };

  it("shows the running, all with all=1, so many with limit, newest first", async () => {
    await create(["true"], {}, "?name=first");
    const id = await create(["sleep", "1000"], { Labels: { a: "b" } }, "?name=second");
    await post(`/containers/${id}/start`);
    expect(await names({}, "")).toEqual(["/second"]);
    expect(await names({})).toEqual(["/second", "/first"]);
    expect(await names({}, "&limit=1")).toEqual(["/second"]);
    const [summary] = (await list("")) as unknown as readonly Json[];
    expect(summary).toMatchObject({
      Id: id,
      Image: "busybox",
      Command: "sleep 1000",
      State: "running",
      Labels: { a: "b" },
      HostConfig: { NetworkMode: "bridge" },
      Boundary: { kind: "container" },
    });
    expect(summary?.Status).toMatch(/^Up /);
  });

  it("filters by name, id, label, status, exit code, ancestor, age, volume and network", async () => {
    const web = await create(["exit", "3"], { Labels: { tier: "front" }, HostConfig: { Binds: ["data:/data"], NetworkMode: "none" } }, "?name=web-1");
    await create(["true"], {}, "?name=db-1");
    await post(`/containers/${web}/start`);
    await post(`/containers/${web}/wait`);
    for (const filters of [
      { name: ["^/web"] },
      { name: { "web-1": true } },
      { id: [web.slice(0, 12)] },
      { label: ["tier"] },
      { label: ["tier=front"] },
      { status: ["exited"] },
      { exited: ["3"] },
      { before: ["db-1"] },
      { volume: ["data"] },
      { volume: ["/data"] },
      { network: ["none"] },
      { isolation: ["container"], name: ["web"] },
      { ancestor: ["busybox"], label: ["tier=front"] },
    ])
      expect(await names(filters), JSON.stringify(filters)).toEqual(["/web-1"]);
    expect(await names({ since: ["web-1"] })).toEqual(["/db-1"]);
    expect(await names({ ancestor: ["alpine"] })).toEqual([]);
  });

  it("refuses filters that are none with 400", async () => {
    for (const filters of ["{", "[]", '{"bogus":["x"]}', '{"status":["asleep"]}', '{"name":"x"}']) {
      expect((await get(`/containers/json?filters=${encodeURIComponent(filters)}`)).status, filters).toBe(400);
    }
  });
});

describe("logs", () => {
  it("come framed, from the end, stamped with nine digits, by stream", async () => {
    const id = await create(["tick", "3", "1"]);
    await post(`/containers/${id}/start`);
    await post(`/containers/${id}/wait`);
    const { headers, body } = await get(`/containers/${id}/logs?stdout=1&stderr=1&tail=2`);
    expect(headers["content-type"]).toBe("application/vnd.docker.multiplexed-stream");
    expect(body.toString("latin1")).toBe(muxed(1, "tick 2\n") + muxed(1, "tick 3\n"));
    const stamped = await get(`/containers/${id}/logs?stdout=1&timestamps=1&tail=1`);
    expect(stamped.body.subarray(8).toString()).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z tick 3\n$/);
    expect((await get(`/containers/${id}/logs?stderr=1`)).body.length).toBe(0);
  });

  it("follow with their headers at once, and end when the workload does", async () => {
    const id = await create(["cat"], { OpenStdin: true, Tty: true });
    const attached = await open(`POST /containers/${id}/attach?stream=1&stdin=1`);
    await post(`/containers/${id}/start`);
    const logs = await open(`GET /containers/${id}/logs?follow=1&stdout=1`, []);
    expect(splitHead(logs.text).body).toBe("");
    attached.send("line\n");
    await logs.until((text) => text.includes("line"));
    await post(`/containers/${id}/kill`);
    await logs.until((text) => text.endsWith("0\r\n\r\n"), "the last chunk");
    logs.close();
    attached.close();
  });

  it("are refused without a stream, and where none are kept", async () => {
    const id = await create(["true"], { HostConfig: { LogConfig: { Type: "none" } } });
    expect((await get(`/containers/${id}/logs`)).json.message).toBe("Bad parameters: you must choose at least one stream");
    expect((await get(`/containers/${id}/logs?stdout=1`)).status).toBe(501);
  });

  it("come before the live stream where attach asks for them", async () => {
    const id = await create(["tick", "1", "100000"]);
    await post(`/containers/${id}/start`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const attached = await open(`POST /containers/${id}/attach?logs=1&stream=1&stdout=1`);
    await attached.until((text) => text.includes(muxed(1, "tick 1\n")));
    attached.close();
  });
});

describe("resizing, statistics and processes", () => {
  it("resize a terminal, and refuse a size that is none", async () => {
    const id = await create(["size", "SIGWINCH"], { Tty: true });
    const attached = await open(`POST /containers/${id}/attach?stream=1&stdout=1`);
    await post(`/containers/${id}/start`);
    expect((await post(`/containers/${id}/resize?h=33&w=101`)).status).toBe(200);
    expect(await attached.untilEnd()).toContain("33 101");
    expect((await post(`/containers/${id}/resize?h=33`)).status).toBe(400);
  });

  it("give one sample, two for a rate, or one a second", async () => {
    const id = await create(["sleep", "1000"], { HostConfig: { Memory: 64 << 20 } });
    await post(`/containers/${id}/start`);
    const once = (await get(`/containers/${id}/stats?stream=0&one-shot=1`)).json;
    expect(once).toMatchObject({ id, precpu_stats: { cpu_usage: { total_usage: 0 } }, memory_stats: { limit: 64 << 20 } });
    expect(once.cpu_stats?.online_cpus).toBeGreaterThan(0);
    expect(Object.keys(once.networks as object)).toEqual(["eth0"]);
    const stream = await open(`GET /containers/${id}/stats`, []);
    await stream.until((text) => text.includes('"memory_stats"'));
    stream.close();
    expect((await get(`/containers/${id}/top`)).json).toHaveProperty("Titles");
  });
});
