import { linkSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Failure } from "../contract/failure.ts";
import type { Intent } from "./index.ts";
import { startFakeDaemon, TEST_IDENTITY, type FakeDaemon, type FakeDaemonOptions } from "./testkit/fake-daemon.ts";
import { ask, RawClient, splitHead, textOf } from "./testkit/raw-client.ts";

let daemon: FakeDaemon | undefined;
const start = async (options: FakeDaemonOptions = {}): Promise<FakeDaemon> => {
  daemon = await startFakeDaemon(options);
  return daemon;
};
afterEach(async () => {
  await daemon?.close();
  daemon = undefined;
});

describe("the server's answers", () => {
  it("carry Docker's headers on every answer", async () => {
    const { socket } = await start();
    for (const path of ["/_ping", "/nowhere", "/containers/json"]) {
      const { headers } = await ask(socket, "GET", path);
      expect(headers["api-version"]).toBe("1.48");
      expect(headers["docker-experimental"]).toBe("false");
      expect(headers["ostype"]).toBe("linux");
      expect(headers["builder-version"]).toBe("2");
      expect(headers["server"]).toBe("Bulkhead/0.1.0 (linux)");
    }
  });

  it("are the exact bytes that HEAD and GET of /_ping promise", async () => {
    const { socket } = await start();
    const client = new RawClient(socket);
    client.ask("HEAD /_ping");
    const { head, body } = splitHead(await client.until((text) => text.includes("\r\n\r\n")));
    expect(head[0]).toBe("HTTP/1.1 200 OK");
    expect(head).toContain("Content-Length: 0");
    expect(body).toBe("");
    client.ask("GET /_ping", ["Connection: close"]);
    expect((await client.untilEnd()).endsWith("\r\n\r\nOK")).toBe(true);
  });

  it("say 404 page not found for an unknown path and for a wrong method, never 405", async () => {
    const { socket } = await start();
    for (const [method, path] of [
      ["GET", "/nowhere"],
      ["PUT", "/containers/json"],
      ["DELETE", "/_ping"],
      ["GET", "/v1.41/containers/create"],
    ] as const) {
      const { status, json } = await ask(socket, method, path);
      expect([status, json.message]).toEqual([404, "page not found"]);
    }
  });

  it("accept every version from 1.24 to 1.48 and refuse others in Docker's words", async () => {
    const { socket } = await start();
    for (const version of ["1.24", "1.41", "1.48"]) expect((await ask(socket, "GET", `/v${version}/version`)).status).toBe(200);
    const newer = await ask(socket, "GET", "/v1.50/version");
    expect([newer.status, newer.json.message]).toEqual([400, "client version 1.50 is too new. Maximum supported API version is 1.48"]);
    const older = await ask(socket, "GET", "/v1.23/version");
    expect(older.status).toBe(400);
    expect(older.json.message).toContain("client version 1.23 is too old. Minimum supported API version is 1.24");
  });

  it("keep a connection open between requests, as the stock client expects", async () => {
    const { socket } = await start();
    const client = new RawClient(socket);
    for (let count = 1; count <= 3; count++) {
      client.ask("GET /_ping");
      await client.until((text) => text.split("\r\n\r\nOK").length === count + 1);
    }
    client.close();
  });
});

describe("admission", () => {
  it("asks who is there once per connection and for permission once per request", async () => {
    let identified = 0;
    const intents: Intent[] = [];
    const { socket } = await start({
      identify: async () => {
        identified++;
        return TEST_IDENTITY;
      },
      authorize: (identity, intent) => {
        expect(identity).toEqual(TEST_IDENTITY);
        intents.push(intent);
      },
    });
    const client = new RawClient(socket);
    client.ask("GET /containers/json");
    await client.until((text) => text.includes("[]"));
    client.ask("POST /containers/create?name=aa", [], JSON.stringify({ Image: "busybox", Cmd: ["true"] }));
    await client.until((text) => text.includes('"Id"'));
    client.close();
    expect(identified).toBe(1);
    expect(intents.map(({ action }) => action)).toEqual(["GET /containers/json", "POST /containers/create"]);
    expect(intents[1]?.request?.image).toBe("busybox");
  });

  it("tells of an exec which workload it runs in and what it runs, at everything that is done with it", async () => {
    const intents: Intent[] = [];
    const { socket } = await start({ authorize: (_identity, intent) => void intents.push(intent) });
    const { json } = await ask(socket, "POST", "/containers/create?name=web", { body: { Image: "busybox", Cmd: ["sleep", "1000"] } });
    const workload = textOf(json.Id);
    await ask(socket, "POST", "/containers/web/start");
    const made = await ask(socket, "POST", "/containers/web/exec", { body: { Cmd: ["sleep", "1000"], Privileged: true } });
    const execId = textOf(made.json.Id);
    intents.length = 0;
    await ask(socket, "POST", `/exec/${execId}/start`, { body: { Detach: true } });
    await ask(socket, "POST", `/exec/${execId}/resize?h=1&w=1`);
    await ask(socket, "GET", `/exec/${execId}/json`);
    await ask(socket, "POST", `/bulkhead/v1/execs/${execId}/signal`, { body: { Signal: "SIGKILL" } });
    expect(intents).toHaveLength(4);
    for (const intent of intents) expect(intent).toMatchObject({ subject: workload, execId, exec: { command: ["sleep", "1000"], privileged: true } });
  });

  it("tells of an update the limits and the policy that it sets", async () => {
    const intents: Intent[] = [];
    const { socket } = await start({ authorize: (_identity, intent) => void intents.push(intent) });
    await ask(socket, "POST", "/containers/create?name=web", { body: { Image: "busybox" } });
    await ask(socket, "POST", "/containers/web/update", { body: { CpuShares: 512, RestartPolicy: { Name: "always" } } });
    expect(intents.at(-1)).toMatchObject({ subject: "web", limits: { cpuShares: 512 }, restart: { name: "always" } });
  });

  it("stops a request before the engine sees it, with 403 and the remedy", async () => {
    const { socket, engine } = await start({
      authorize: (_identity, { request }) => {
        if (request) throw new Failure("DENIED_BY_POLICY", "the floor asks for a kernel of its own", { remedy: "Add --isolation microvm." });
      },
    });
    const { status, json } = await ask(socket, "POST", "/containers/create", { body: { Image: "busybox" } });
    expect(status).toBe(403);
    expect(json).toMatchObject({ code: "DENIED_BY_POLICY", message: "the floor asks for a kernel of its own\nAdd --isolation microvm." });
    expect(engine.list()).toEqual([]);
  });

  it("answers an error and lives on where nobody can say who is there", async () => {
    const { socket } = await start({
      identify: async () => {
        throw new Failure("UNAVAILABLE", "the launcher does not answer");
      },
    });
    expect((await ask(socket, "GET", "/_ping")).status).toBe(200);
    expect((await ask(socket, "GET", "/containers/json")).status).toBe(503);
  });
});

describe("a burst of clients", () => {
  it("is answered, each of a thousand that came before the first could be taken", async () => {
    const { socket } = await start();
    // All of them connect in one turn of the loop that the server needs for taking them.
    const answers = await Promise.all(
      Array.from({ length: 1000 }, () => ask(socket, "GET", "/_ping").catch((thrown: unknown) => ({ status: String(thrown) }))),
    );
    expect([...new Set(answers.map(({ status }) => status))]).toEqual([200]);
  });
});

describe("what is no request", () => {
  it("is told why its body was refused also where it reads only after it has written it", async () => {
    const { socket } = await start();
    const client = new RawClient(socket);
    client.socket.pause();
    client.ask("POST /containers/create", [`Content-Length: ${8 << 20}`]);
    const broken = await new Promise((resolve) => client.socket.write(Buffer.alloc(8 << 20, "x"), resolve));
    expect(broken ?? "written").toBe("written");
    client.socket.resume();
    expect(await client.until((text) => text.includes("larger than"))).toContain("400 Bad Request");
    client.close();
  });

  it("gets 400 for a body that is not JSON, not of the right shape, or empty", async () => {
    const { socket } = await start();
    const create = (body: unknown) => ask(socket, "POST", "/containers/create", { body });
    expect((await create("{nope")).json.message).toContain("not JSON");
    expect((await create({ Image: 7 })).json.message).toContain('"Image"');
    expect((await create({ HostConfig: { Binds: [1] }, Image: "x" })).status).toBe(400);
    const empty = await create(undefined);
    expect([empty.status, empty.json.message]).toEqual([400, "config cannot be empty in order to create a container"]);
  });

  it("gets 400 for a body above 4 MiB, whether it says its length or not", async () => {
    const { socket } = await start();
    const long = JSON.stringify({ Image: "x".repeat(5 * 1024 * 1024) });
    expect((await ask(socket, "POST", "/containers/create", { body: long })).json.message).toContain("larger than 4194304");
    const chunked = new RawClient(socket);
    chunked.send("POST /containers/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n500000\r\n");
    chunked.send(Buffer.alloc(0x500000, " "));
    expect(await chunked.until((text) => text.includes("larger than"))).toContain("400 Bad Request");
  });

  it("gets 400 and no connection for bytes that are not HTTP, 431 for endless headers", async () => {
    const { socket } = await start();
    const noise = new RawClient(socket);
    noise.send("\x16\x03\x01 not http\r\n\r\n");
    expect(await noise.untilEnd()).toContain("400 Bad Request");
    const endless = new RawClient(socket);
    endless.send(`GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${"a".repeat(70_000)}`);
    expect(await endless.untilEnd()).toContain("431");
  });
});

describe("listening and closing", () => {
  it("refuses TCP and a socket that is in use, and replaces one that nobody serves", async () => {
    const { api, socket } = await start();
    await expect(api.listen("127.0.0.1:2375")).rejects.toMatchObject({ code: "INVALID_SPEC" });
    await expect(startFakeDaemon({ socket })).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    const root = mkdtempSync(join(tmpdir(), "bulkhead-stale-"));
    const stale = join(root, "stale.sock");
    const dead = createServer().listen(join(root, "dead.sock"));
    await new Promise((resolve) => dead.once("listening", resolve));
    // A daemon that was killed leaves its file behind; a second link to it stays as that one does.
    linkSync(join(root, "dead.sock"), stale);
    await new Promise((resolve) => dead.close(resolve));
    const second = await startFakeDaemon({ socket: stale });
    expect((await ask(stale, "GET", "/_ping")).status).toBe(200);
    await second.close();
    rmSync(root, { recursive: true, force: true });
  });

  it("ends events, logs and waits when it closes, and ends no workload", async () => {
    const running = await start();
    const { socket, engine } = running;
    const { json } = await ask(socket, "POST", "/containers/create", { body: { Image: "busybox", Cmd: ["tick", "1000", "20"] } });
    const id = textOf(json.Id);
    await ask(socket, "POST", `/containers/${id}/start`);
    const streams = [`GET /events`, `GET /containers/${id}/logs?follow=1&stdout=1`, `POST /containers/${id}/wait`].map((line) => {
      const client = new RawClient(socket);
      client.ask(line);
      return client;
    });
    const attached = new RawClient(socket);
    attached.ask(`POST /containers/${id}/attach?stream=1&stdout=1`, ["Connection: Upgrade", "Upgrade: tcp"]);
    for (const client of [...streams, attached]) await client.until((text) => text.includes("\r\n\r\n"));
    await running.api.close();
    for (const client of [...streams, attached]) await client.untilEnd();
    expect(engine.inspect(id).state).toBe("running");
  });
});
