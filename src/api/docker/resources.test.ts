import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startFakeDaemon, type FakeDaemon } from "../testkit/fake-daemon.ts";
import { ask, type Json, RawClient, splitHead, textOf } from "../testkit/raw-client.ts";

let daemon: FakeDaemon;
beforeEach(async () => {
  daemon = await startFakeDaemon();
});
afterEach(() => daemon.close());

const get = (path: string) => ask(daemon.socket, "GET", path);
const post = (path: string, body?: unknown) => ask(daemon.socket, "POST", path, { body });
const lines = (body: Buffer): readonly Json[] =>
  body
    .toString()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Json);
const filters = (document: object) => `filters=${encodeURIComponent(JSON.stringify(document))}`;

describe("inspect", () => {
  it("carries what docker inspect, compose, dockerode and Testcontainers read, and the boundary", async () => {
    const body = {
      Image: "busybox",
      Cmd: ["sleep", "1000"],
      Labels: { a: "b" },
      ExposedPorts: { "81/tcp": {} },
      HostConfig: { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] }, Binds: ["data:/data", "/tmp:/host:ro"], Memory: 64 << 20 },
    };
    const id = textOf((await post("/containers/create?name=web", body)).json.Id);
    await post(`/containers/${id}/start`);
    const { json } = await get("/containers/web/json?size=1");
    expect(json).toMatchObject({
      Id: id,
      Name: "/web",
      Path: "sleep",
      Args: ["1000"],
      RestartCount: 0,
      Driver: "overlay2",
      Platform: "linux",
      ExecIDs: null,
      GraphDriver: { Name: "overlay2" },
      State: {
        Status: "running",
        Running: true,
        Paused: false,
        Restarting: false,
        OOMKilled: false,
        Dead: false,
        ExitCode: 0,
        Error: "",
        FinishedAt: "0001-01-01T00:00:00Z",
      },
      HostConfig: {
        NetworkMode: "bridge",
        Binds: ["data:/data", "/tmp:/host:ro"],
        Memory: 64 << 20,
        RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
        LogConfig: { Type: "json-file" },
      },
      Config: {
        Image: "busybox",
        Cmd: ["sleep", "1000"],
        Entrypoint: null,
        Tty: false,
        OpenStdin: false,
        Labels: { a: "b", maker: "testkit" },
        ExposedPorts: { "80/tcp": {}, "81/tcp": {} },
      },
      NetworkSettings: {
        Ports: { "81/tcp": null, "80/tcp": [{ HostIp: "127.0.0.1" }] },
        Gateway: "10.0.0.1",
        IPPrefixLen: 24,
        Networks: { bridge: { Gateway: "10.0.0.1", IPPrefixLen: 24 } },
      },
    });
    expect(json.Boundary).toEqual({ kind: "container", engine: "fake", version: "1.0", emulated: false, traits: ["fake"] });
    expect(json.Mounts).toEqual([
      expect.objectContaining({ Type: "volume", Name: "data", Destination: "/data", Driver: "local", RW: true }),
      expect.objectContaining({ Type: "bind", Source: "/tmp", Destination: "/host", RW: false }),
    ]);
    expect(textOf(json.LogPath)).toContain(id);
    expect(json.State?.StartedAt).toMatch(/\.\d{9}Z$/);
    const stopped = await post("/containers/web/kill").then(() => get("/containers/web/json"));
    expect(stopped.json).toMatchObject({ NetworkSettings: { Ports: {}, IPAddress: "" }, State: { Pid: 0, Running: false } });
  });
});

describe("images", () => {
  it("are listed, filtered, inspected, told of their history, tagged and removed, with slashes in their names", async () => {
    expect((await post("/images/busybox/tag?repo=localhost:5000/team/app&tag=1")).status).toBe(201);
    const listed = (await get("/images/json")).json as unknown as readonly Json[];
    expect(listed[0]).toMatchObject({ RepoTags: ["busybox:latest", "localhost:5000/team/app:1"], Size: 1_234_567, Containers: 0 });
    const inspected = await get("/images/localhost:5000/team/app:1/json");
    expect(inspected.json).toMatchObject({ Os: "linux", Architecture: "amd64", RootFS: { Type: "layers" }, Config: { Cmd: ["sleep", "1000000"] } });
    expect((await get("/v1.41/images/localhost%3A5000%2Fteam%2Fapp%3A1/json")).status).toBe(200);
    expect((await get("/images/busybox/history")).json[0 as unknown as string]).toMatchObject({ CreatedBy: "ADD rootfs.tar /" });
    const matching = async (pattern: string) => ((await get(`/images/json?${filters({ reference: [pattern] })}`)).json as unknown as unknown[]).length;
    expect([await matching("busy*"), await matching("localhost:5000/*/app"), await matching("alpine")]).toEqual([1, 1, 0]);
    const named = (await get(`/images/json?${filters({ reference: ["busybox"] })}`)).json as unknown as readonly Json[];
    expect(named[0], "of its names, those that were asked for").toMatchObject({ RepoTags: ["busybox:latest"] });
    expect((await get(`/images/json?${filters({ bogus: ["x"] })}`)).status).toBe(400);
    expect((await ask(daemon.socket, "DELETE", "/images/localhost:5000/team/app:1")).json).toEqual([{ Untagged: "localhost:5000/team/app:1" }]);
    expect((await ask(daemon.socket, "DELETE", "/images/nope")).status).toBe(404);
  });

  it("are pulled with progress lines and the client's credentials; an unknown one is 404", async () => {
    daemon.images.offered.add("team/app:1");
    const auth = Buffer.from('{"username":"u","password":"p"}').toString("base64url");
    const pulled = await ask(daemon.socket, "POST", "/images/create?fromImage=team/app&tag=1", { headers: { "X-Registry-Auth": auth } });
    expect(pulled.status).toBe(200);
    expect(lines(pulled.body)).toContainEqual({
      status: "Downloading",
      id: "0123456789ab",
      progressDetail: { current: 500_000, total: 1_000_000 },
      progress: expect.stringContaining("500kB/1MB"),
    });
    expect(daemon.images.seenCredentials).toEqual([{ username: "u", password: "p" }]);
    const missing = await post("/images/create?fromImage=team/app&tag=2");
    expect([missing.status, missing.json.code]).toEqual([404, "NOT_FOUND"]);
  });

  it("are pushed with 200 and an errorDetail line where the tag is unknown", async () => {
    const failed = await post("/images/team/app/push?tag=9");
    expect(failed.status).toBe(200);
    expect(lines(failed.body).at(-1)).toMatchObject({
      error: "No such image: team/app:9",
      failure: { message: "No such image: team/app:9", code: "NOT_FOUND" },
    });
    // Docker's client ends at a code that is no number, and has words of its own for 401.
    expect(lines(failed.body).at(-1)?.errorDetail).toEqual({ message: "No such image: team/app:9" });
    const done = lines((await post("/images/busybox/push?tag=latest")).body).at(-1);
    expect(done?.aux).toMatchObject({ Tag: "latest", Size: 528 });
  });

  it("are loaded, saved and imported; an archive that is none is refused whole, with the reason", async () => {
    const loaded = await ask(daemon.socket, "POST", "/images/load?quiet=1", { body: "name=mine:1", headers: { "Content-Type": "application/x-tar" } });
    expect(lines(loaded.body)).toEqual([{ stream: "Loaded image: mine:1\n" }]);
    const junk = await ask(daemon.socket, "POST", "/images/load", { body: Buffer.alloc(3 << 20, 1) });
    expect([junk.status, junk.json.message]).toEqual([400, "the archive is not an image\nMake it with docker save."]);
    const saved = await get("/images/get?names=mine:1&names=busybox");
    expect([saved.headers["content-type"], saved.body.toString()]).toEqual(["application/x-tar", "name=mine:1name=busybox:latest"]);
    expect((await get("/images/nope/get")).status).toBe(404);
    const imported = await ask(daemon.socket, "POST", "/images/create?fromSrc=-&repo=imp&tag=1", { body: "tar" });
    expect(lines(imported.body)[0]?.status).toMatch(/^sha256:/);
    expect((await get("/images/imp:1/json")).status).toBe(200);
    // The stock client sends name and tag in one.
    expect((await ask(daemon.socket, "POST", "/images/create?fromSrc=-&repo=imp:2", { body: "other" })).status).toBe(200);
    expect((await get("/images/imp:2/json")).status).toBe(200);
    expect((await post("/images/create?fromSrc=http://x/y.tar")).status).toBe(501);
  });

  it("are pruned only where no workload uses them", async () => {
    await post("/containers/create", { Image: "busybox" });
    expect((await post(`/images/prune?${filters({ dangling: ["false"] })}`)).json).toEqual({ ImagesDeleted: null, SpaceReclaimed: 0 });
  });
});

describe("volumes", () => {
  it("are made, listed, inspected, removed and pruned", async () => {
    expect((await post("/volumes/create", { Name: "data", Labels: { a: "b" } })).status).toBe(201);
    expect((await get(`/volumes?${filters({ label: ["a=b"] })}`)).json.Volumes).toMatchObject([{ Name: "data", Driver: "local", Scope: "local" }]);
    expect((await get("/volumes/data")).json.Mountpoint).toContain("/volumes/data");
    expect((await get("/volumes/nope")).status).toBe(404);
    expect((await post("/volumes/create", { Name: "x", Driver: "nfs" })).status).toBe(501);
    await post("/volumes/create", {});
    expect((await post("/volumes/prune")).json.VolumesDeleted).toEqual(["anonymous1"]);
    expect((await ask(daemon.socket, "DELETE", "/volumes/data")).status).toBe(204);
    expect((await ask(daemon.socket, "DELETE", "/volumes/data?force=1")).status).toBe(204);
  });
});

describe("networks", () => {
  it("are listed and inspected; making one says that it cannot be made", async () => {
    const listed = (await get(`/networks?${filters({ name: ["bridge"] })}`)).json as unknown as readonly Json[];
    expect(listed).toMatchObject([{ Name: "bridge", Driver: "bridge", Scope: "local", IPAM: { Config: [{ Subnet: "10.0.0.0/24", Gateway: "10.0.0.1" }] } }]);
    expect((await get("/networks/bridge")).json.Name).toBe("bridge");
    expect((await get("/networks/nope")).status).toBe(404);
    expect((await post("/networks/create", { Name: "x" })).json).toMatchObject({ code: "UNSUPPORTED" });
  });
});

describe("the system", () => {
  it("tells its versions, and that it is Bulkhead", async () => {
    expect((await get("/version")).json).toMatchObject({
      ApiVersion: "1.48",
      MinAPIVersion: "1.24",
      Os: "linux",
      Platform: { Name: "Bulkhead" },
      Components: [{ Name: "Engine" }],
    });
  });

  it("tells of itself what clients look for, and names only boundaries that work", async () => {
    await post("/containers/create", { Image: "busybox" });
    const { json } = await get("/info");
    expect(json).toMatchObject({
      Containers: 1,
      ContainersStopped: 1,
      Images: 1,
      OSType: "linux",
      DefaultRuntime: "container",
      CgroupVersion: "2",
      Swarm: { LocalNodeState: "inactive" },
    });
    expect(Object.keys(json.Runtimes as object)).toEqual(["container"]);
  });

  it("answers an empty list of plugins, and 503 for a swarm", async () => {
    const plugins = await get("/plugins");
    expect([plugins.status, plugins.body.toString()]).toEqual([200, "[]\n"]);
    expect((await get("/nodes")).status).toBe(503);
  });

  it("counts what lies on the disk", async () => {
    expect((await get("/system/df")).json).toMatchObject({
      LayersSize: 1_234_567,
      Images: [{ RepoTags: ["busybox:latest"] }],
      Containers: [],
      Volumes: [],
      BuildCache: [],
    });
  });
});

describe("events", () => {
  it("flush their headers at once and follow, filtered", async () => {
    const client = new RawClient(daemon.socket);
    client.ask(`GET /events?${filters({ event: ["start", "die"], type: ["container"] })}`);
    await client.until((text) => text.includes("\r\n\r\n"));
    expect(splitHead(client.text).body).toBe("");
    const id = textOf((await post("/containers/create", { Image: "busybox", Cmd: ["exit", "3"] })).json.Id);
    await post(`/containers/${id}/start`);
    const text = await client.until((seen) => seen.includes('"Action":"die"'));
    expect(text).toContain('"exitCode":"3"');
    expect(text).not.toContain('"Action":"create"');
    expect(text).toMatch(/"timeNano":\d{19}\}/);
    client.close();
  });

  it("end at until, with what is remembered since", async () => {
    const since = Math.floor(Date.now() / 1000) - 5;
    await post("/volumes/create", { Name: "data" });
    await post("/images/busybox/tag?repo=b");
    const past = lines((await get(`/events?since=${since}&until=${Math.floor(Date.now() / 1000) + 1}`)).body);
    expect(past.map(({ Type, Action }) => `${textOf(Type)} ${textOf(Action)}`)).toEqual(["volume create", "image tag"]);
    expect((await get(`/events?${filters({ bogus: ["x"] })}`)).status).toBe(400);
    expect((await get("/events?since=yesterday")).status).toBe(400);
  });
});
