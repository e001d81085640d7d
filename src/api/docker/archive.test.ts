import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Failure } from "../../contract/failure.ts";
import { archiveOf, contentsOf, type ArchiveEntry } from "../../contract/testkit/archives.ts";
import { startFakeDaemon, type FakeDaemon } from "../testkit/fake-daemon.ts";
import { ask, RawClient, textOf, type Answer } from "../testkit/raw-client.ts";
import { goFileMode } from "./file-mode.ts";

let daemon: FakeDaemon;
let id: string;

beforeEach(async () => {
  daemon = await startFakeDaemon();
  id = await create();
});
afterEach(() => daemon.close());

async function create(more: object = {}): Promise<string> {
  return textOf((await ask(daemon.socket, "POST", "/containers/create", { body: { Image: "busybox", ...more } })).json.Id);
}

const at = (path: string, more = "") => `/containers/${id}/archive?path=${encodeURIComponent(path)}${more}`;
const get = (path: string) => ask(daemon.socket, "GET", at(path));
const head = (path: string) => ask(daemon.socket, "HEAD", at(path));
const put = (path: string, body: Buffer, more = "") => ask(daemon.socket, "PUT", at(path, more), { body, headers: { "Content-Type": "application/x-tar" } });

async function tar(...entries: ArchiveEntry[]): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of archiveOf(entries)) pieces.push(piece);
  return Buffer.concat(pieces);
}

const statOf = ({ headers }: Answer): unknown => JSON.parse(Buffer.from(String(headers["x-docker-container-path-stat"]), "base64").toString());

const contents = ({ body }: Answer) =>
  contentsOf(
    (async function* () {
      yield body;
    })(),
  );

describe("docker cp, request by request", () => {
  it("an archive goes in with no words, and comes out with what lies there in a header", async () => {
    const { status, body } = await put("/srv", await tar({ name: "note", bytes: "hello", mode: 0o640, uid: 7, gid: 8, modified: 1_500_000_000 }));
    expect([status, body.length]).toEqual([200, 0]);
    const out = await get("/srv/note");
    expect([out.status, out.headers["content-type"]]).toEqual([200, "application/x-tar"]);
    expect(statOf(out)).toEqual({ name: "note", size: 5, mode: 0o640, mtime: expect.stringMatching(/^2017-07-14T02:40:00/), linkTarget: "" });
    expect(await contents(out)).toMatchObject({ note: { text: "hello", uid: 7, gid: 8 } });
    const looked = await head("/srv/note");
    expect([looked.status, looked.body.length, statOf(looked)]).toEqual([200, 0, statOf(out)]);
  });

  it("types and permissions are counted as Go counts them", () => {
    const modes = { 0o040755: 0x800001ed, 0o120777: 0x80001ff, 0o104755: 0x8001ed, 0o102755: 0x4001ed, 0o041777: 0x801001ff, 0o020620: 0x4200190 };
    for (const [mode, go] of Object.entries(modes)) expect(goFileMode(Number(mode)), Number(mode).toString(8)).toBe(go);
    expect([goFileMode(0o060660), goFileMode(0o010600), goFileMode(0o140700)]).toEqual([0x40001b0, 0x2000180, 0x10001c0]);
  });

  it.each([
    ["gzip", gzipSync],
    ["zstd", zstdCompressSync],
  ])("an archive may be compressed by %s", async (_name, compress) => {
    expect((await put("/srv", compress(await tar({ name: "note", bytes: "small" })))).status).toBe(200);
    expect(await contents(await get("/srv/note"))).toMatchObject({ note: { text: "small" } });
  });

  it("an archive compressed otherwise is refused by name, and one that is none as damaged", async () => {
    const packed = await put("/srv", Buffer.from("BZh91AY&SY and so on"));
    expect([packed.status, packed.json.code, packed.json.what]).toEqual([501, "UNSUPPORTED", "the archive is compressed by bzip2"]);
    expect((await put("/srv", Buffer.alloc(2048, "no tar "))).json).toMatchObject({ code: "CORRUPT_DATA" });
  });

  it("a path that is missing, a container that is missing and no path at all are told apart", async () => {
    const missing = await get("/nothing");
    expect([missing.status, missing.json.what, missing.json.workload]).toEqual([
      404,
      expect.stringMatching(/^Could not find the file \/nothing in container /),
      id,
    ]);
    expect((await head("/nothing")).status).toBe(404);
    expect((await put("/nothing", await tar())).status).toBe(404);
    const nobody = await ask(daemon.socket, "GET", "/containers/nobody/archive?path=/srv");
    expect([nobody.status, nobody.json.what, nobody.json.workload]).toEqual([404, "No such container: nobody", undefined]);
    for (const method of ["GET", "HEAD", "PUT"]) expect((await ask(daemon.socket, method, `/containers/${id}/archive`)).status).toBe(400);
  });

  it("an archive goes neither into a file nor, where that is asked for, over a directory", async () => {
    await put("/srv", await tar({ name: "note", bytes: "" }, { name: "folder", type: "directory" }));
    expect((await put("/srv/note", await tar({ name: "x" }))).status).toBe(400);
    expect((await put("/srv", await tar({ name: "folder", bytes: "" }), "&noOverwriteDirNonDir=true")).status).toBe(400);
    expect((await put("/srv", await tar({ name: "folder", bytes: "" }))).status).toBe(200);
  });

  it("a read-only root and a read-only volume take nothing, and a volume that is not does", async () => {
    id = await create({ HostConfig: { ReadonlyRootfs: true, Binds: ["kept:/kept:ro"], Tmpfs: { "/kept/open": "" } } });
    const archive = await tar({ name: "note", bytes: "hello" });
    expect((await put("/srv", archive)).json.what).toBe("container rootfs is marked read-only");
    const refused = await put("/kept/", archive);
    expect([refused.status, refused.json.what]).toEqual([403, "mounted volume is marked read-only"]);
    expect((await put("/kept/open", archive)).status).toBe(200);
  });

  it("a link is told with where it leads, and comes out as a link", async () => {
    await put("/srv", await tar({ name: "note", bytes: "hello" }, { name: "soft", type: "symlink", linkname: "note" }));
    expect(statOf(await head("/srv/soft"))).toMatchObject({ mode: 0x80001a4, linkTarget: "/srv/note" });
    expect(await contents(await get("/srv/soft"))).toMatchObject({ soft: { type: "symlink", linkname: "note" } });
  });

  it("a client that goes away while it reads lets the container start", async () => {
    await put("/srv", await tar({ name: "large", bytes: 20_000_000 }));
    const client = new RawClient(daemon.socket);
    client.ask(`GET ${at("/srv/large")}`);
    await client.until((text) => text.includes("\r\n\r\n"));
    client.close();
    expect((await ask(daemon.socket, "POST", `/containers/${id}/start`)).status).toBe(204);
  });

  it("every one of the three asks the operator's policy, with the container's name", async () => {
    await daemon.close();
    const asked: string[] = [];
    daemon = await startFakeDaemon({
      authorize: (_identity, { action, subject }) => {
        if (!action.endsWith("/archive")) return;
        asked.push(`${action} ${subject === id}`);
        throw new Failure("DENIED_BY_POLICY", "no");
      },
    });
    id = await create();
    expect([(await get("/srv")).status, (await head("/srv")).status, (await put("/srv", await tar())).status]).toEqual([403, 403, 403]);
    expect(asked).toEqual(["GET", "HEAD", "PUT"].map((method) => `${method} /containers/{id}/archive true`));
  });

  it("is told of in Docker's words", async () => {
    await put("/srv", await tar({ name: "note", bytes: "hello" }));
    await get("/srv/note");
    // A moment later: what was announced in this millisecond is later than its beginning.
    const soon = ((Date.now() + 5) / 1000).toFixed(3);
    const { body } = await ask(daemon.socket, "GET", `/events?since=0&until=${soon}&filters=${encodeURIComponent('{"type":["container"]}')}`);
    const actions = body
      .toString()
      .trim()
      .split("\n")
      .map((line) => textOf(JSON.parse(line).Action));
    expect(actions).toEqual(expect.arrayContaining(["extract-to-dir", "archive-path"]));
  });
});
