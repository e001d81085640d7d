import { describe, expect, it } from "vitest";
import { Client } from "./client.ts";
import { Failure } from "./failure.ts";
import { ScriptedServer } from "./testkit/scripted-server.ts";

async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (one: unknown) => one,
  );
  if (!(thrown instanceof Failure)) throw new Error(`no Failure, but ${String(thrown)}`);
  return thrown;
}

describe("requests", () => {
  it("carry the daemon's code, sentence and remedy to the caller", async () => {
    await using server = await ScriptedServer.start({
      "GET /containers/*/json": { status: 404, json: { message: "old words", code: "NOT_FOUND", what: "no such workload: x", remedy: "look with ps -a" } },
    });
    const failure = await failureOf(new Client(server).workloads.inspect("x"));
    expect(failure).toMatchObject({ code: "NOT_FOUND", message: "no such workload: x", remedy: "look with ps -a", status: 404 });
  });

  it("give a foreign server's message and the code of its status", async () => {
    await using server = await ScriptedServer.start({ "GET /images/json": { status: 409, text: '{"message":"busy"}' } });
    expect(await failureOf(new Client(server).images.list())).toMatchObject({ code: "WRONG_STATE", message: "busy" });
  });

  it("keep one connection for one after another", async () => {
    await using server = await ScriptedServer.start({ "GET /images/json": { json: [] } });
    const client = new Client(server);
    for (let count = 0; count < 5; count++) await client.images.list();
    expect(server.connections).toBe(1);
    client.close();
  });

  it("ask again on a fresh connection when the daemon closed the idle one", async () => {
    let answered = 0;
    await using server = await ScriptedServer.start({
      "GET /images/json": {
        raw: (response) => {
          answered++;
          // The second request arrives on a connection that is cut before it is answered.
          if (answered === 2) response.socket?.destroy();
          else response.end("[]");
        },
      },
    });
    const client = new Client(server);
    await client.images.list();
    expect(await client.images.list()).toEqual([]);
    expect(server.connections).toBe(2);
    client.close();
  });

  it("say that nobody listens, where, and what to do", async () => {
    const failure = await failureOf(new Client({ host: "unix:///nonexistent/b.sock" }).system.ping());
    expect(failure.code).toBe("UNAVAILABLE");
    expect(failure.message).toContain("unix:///nonexistent/b.sock");
    expect(failure.remedy).toContain("BULKHEAD_HOST");
  });

  it("are cancelled by their signal, with CANCELLED or TIMED_OUT by its reason", async () => {
    await using server = await ScriptedServer.start({ "GET /info": { raw: () => undefined } });
    const client = new Client(server);
    const controller = new AbortController();
    const waiting = failureOf(client.system.info({ signal: controller.signal }));
    controller.abort();
    expect((await waiting).code).toBe("CANCELLED");
    expect((await failureOf(client.system.info({ signal: AbortSignal.timeout(20) }))).code).toBe("TIMED_OUT");
  });

  it("say that the connection was lost when it ends without an answer", async () => {
    await using server = await ScriptedServer.start({ "POST /containers/*/start": { raw: (response) => void response.socket?.destroy() } });
    const failure = await failureOf(new Client(server).workloads.start("x"));
    expect(failure.code).toBe("CONNECTION_LOST");
    expect(failure.message).toContain("POST /containers/x/start");
  });

  it("tell a change from no change", async () => {
    let status = 204;
    await using server = await ScriptedServer.start({ "POST /containers/*/start": () => ({ status: (status = status === 204 ? 304 : 204), text: "" }) });
    const client = new Client(server);
    expect(await client.workloads.start("x")).toBe(false);
    expect(await client.workloads.start("x")).toBe(true);
  });

  it("keep slashes, colons and digests of image names", async () => {
    await using server = await ScriptedServer.start({ "GET /images/localhost:5000/a/b:1/json": { json: { Id: "sha256:1" } } });
    expect(await new Client(server).images.inspect("localhost:5000/a/b:1")).toEqual({ Id: "sha256:1" });
  });
});

describe("destructive requests", () => {
  it("are refused by name on a server that is not Bulkhead, before anything is sent", async () => {
    const docker = { "HEAD /_ping": { text: "" }, "GET /version": { json: { Platform: { Name: "Docker Engine" }, Version: "28", ApiVersion: "1.48" } } };
    await using server = await ScriptedServer.start(docker, { serverHeader: "Docker/28.2.2 (linux)" });
    const client = new Client(server);
    const deeds = [
      () => client.workloads.remove("x"),
      () => client.workloads.stop("x"),
      () => client.workloads.kill("x"),
      () => client.workloads.prune(),
      () => client.images.remove("x"),
      () => client.images.prune(),
      () => client.volumes.remove("x"),
      () => client.volumes.prune(),
      () => client.networks.remove("x"),
      () => client.networks.prune(),
      () => client.system.stop(),
    ];
    for (const deed of deeds) expect((await failureOf(deed())).code).toBe("DENIED_BY_POLICY");
    expect(server.conversation.filter((line) => !line.endsWith("/_ping") && !line.endsWith("/version"))).toEqual([]);
  });

  it("are refused as well on a server that tells no version, where a removal by force would take its 404 for success", async () => {
    await using server = await ScriptedServer.start({ "HEAD /_ping": { text: "" } }, { serverHeader: "Other/1" });
    const client = new Client(server);
    expect((await failureOf(client.workloads.remove("x", { force: true }))).code).toBe("DENIED_BY_POLICY");
    expect(server.conversation).toEqual(["HEAD /_ping", "GET /version"]);
  });

  it("ask who is there once, and go through where it is Bulkhead", async () => {
    await using server = await ScriptedServer.start({ "HEAD /_ping": { text: "" }, "DELETE /containers/*": { status: 204, text: "" } });
    const client = new Client(server);
    await client.workloads.remove("a");
    await client.workloads.remove("b");
    expect(server.conversation).toEqual(["HEAD /_ping", "DELETE /containers/a", "DELETE /containers/b"]);
  });
});
