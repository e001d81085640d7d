import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { plainCall } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { FilesFacet } from "../contract/sandbox.ts";
import { archiveOf, contentsOf } from "../contract/testkit/archives.ts";
import { settle } from "./testkit/manual-clock.ts";
import { makeRequest, makeWorld, type World } from "./testkit/world.ts";

const call = plainCall();
const OPTIONS = { keepKinds: false, keepOwners: true };

let world: World;

beforeEach(() => {
  world = makeWorld({ engine: { launchAhead: { limit: 0 } } });
});

afterEach(() => {
  world.dispose();
});

async function create(changes: Parameters<typeof makeRequest>[0] = {}): Promise<string> {
  return (await world.engine.create(makeRequest(changes), call)).id;
}

const put = (id: string, name: string, text: string | number) =>
  world.engine.writeFiles(id, "/srv", { archive: archiveOf([{ name, bytes: text }]), options: OPTIONS }, call);

const get = async (id: string, path: string) => contentsOf((await world.engine.readFiles(id, path, call)).archive);

const failure = (work: Promise<unknown>): Promise<Failure> =>
  work.then(
    () => Promise.reject(new Error("it did not fail")),
    (thrown: unknown) => thrown as Failure,
  );

/** Everything that a copy must leave as it was. */
const lasting = (id: string) => {
  const { state, exit, startedAt, finishedAt, error, network, restartCount } = world.engine.inspect(id);
  return { state, exit, startedAt, finishedAt, error, network, restartCount };
};

describe("files of a workload", () => {
  it("that runs are copied where it runs", async () => {
    const id = await create();
    await world.engine.start(id, call);
    await put(id, "note", "hello");
    expect(await get(id, "/srv/note")).toMatchObject({ note: { text: "hello" } });
    expect(await world.engine.statFile(id, "/srv/note", call)).toMatchObject({ name: "note", sizeBytes: 5 });
    expect(world.host.journal.filter((step) => step === "launch")).toHaveLength(1);
  });

  it("that was never started, or has ended, are copied, and it is afterwards what it was", async () => {
    const id = await create({ command: ["exit", "3"] });
    const fresh = lasting(id);
    await put(id, "note", "before");
    expect(lasting(id)).toEqual(fresh);
    await expect.poll(() => world.host.standing.size).toBe(0);
    await world.engine.start(id, call);
    await world.engine.wait(id, "not-running", call);
    const ended = lasting(id);
    expect(ended).toMatchObject({ state: "exited", exit: { code: 3 } });
    expect(await get(id, "/srv")).toMatchObject({ "srv/note": { text: "before" } });
    await expect.poll(() => world.host.standing.size).toBe(0);
    expect(lasting(id)).toEqual(ended);
    expect(world.host.journal.filter((step) => step === "start")).toHaveLength(1);
  });

  it("are copied from one whose ports another has by now, because nobody speaks to it", async () => {
    const ports = [{ protocol: "tcp", hostAddress: "", hostPort: 8080, workloadPort: 80 }] as const;
    const id = await create({ ports });
    const successor = await create({ ports });
    await world.engine.start(successor, call);
    await put(id, "note", "hello");
    expect(await get(id, "/srv/note")).toMatchObject({ note: { text: "hello" } });
  });

  it("a workload launched ahead serves, and is not started by it", async () => {
    world.dispose();
    world = makeWorld();
    const id = await create();
    await put(id, "note", "hello");
    expect(world.host.journal.filter((step) => step === "launch")).toHaveLength(1);
    expect(world.engine.inspect(id).state).toBe("created");
  });

  it("whose command is not there are copied all the same", async () => {
    const id = await create();
    world.host.failNext("files-stat", new Failure("WRONG_STATE", "the main process does not run"));
    await put(id, "note", "hello");
    expect(await get(id, "/srv/note")).toMatchObject({ note: { text: "hello" } });
    expect(world.host.journal.filter((step) => step === "launch")).toHaveLength(3);
  });

  it("of one that waits for its restart leave it its address and its ports", async () => {
    const ports = [{ protocol: "tcp", hostAddress: "", hostPort: 8080, workloadPort: 80 }] as const;
    const id = await create({ command: ["exit", "3"], ports, restart: { name: "always", maximumRetries: 0 } });
    await world.engine.start(id, call);
    await expect.poll(() => world.engine.inspect(id).state).toBe("restarting");
    const waiting = lasting(id);
    expect(waiting.network).toMatchObject({ kind: "bridge" });
    await get(id, "/srv");
    await settle();
    expect(lasting(id)).toEqual(waiting);
    const other = await create({ ports });
    expect(await failure(world.engine.start(other, call))).toMatchObject({ code: "ALREADY_EXISTS" });
  });

  it("let a start wait until the archive is read to its end", async () => {
    const id = await create();
    await put(id, "note", 3_000_000);
    const { archive } = await world.engine.readFiles(id, "/srv/note", call);
    const order: string[] = [];
    const started = world.engine.start(id, call).then(() => order.push("started"));
    for await (const piece of archive) if (piece.length > 0 && order.length === 0) order.push("reading");
    order.push("read");
    await started;
    expect(order).toEqual(["reading", "read", "started"]);
  });

  it("are let go by a reader that goes away: before it began, half-way, and with its call", async () => {
    const id = await create();
    await put(id, "note", 3_000_000);
    const abort = new AbortController();
    await world.engine.readFiles(id, "/srv", plainCall(abort.signal));
    abort.abort();
    for await (const piece of (await world.engine.readFiles(id, "/srv", call)).archive) if (piece.length > 0) break;
    const { archive } = await world.engine.readFiles(id, "/srv", call);
    await archive[Symbol.asyncIterator]().return?.();
    await world.engine.start(id, call);
    expect(world.engine.inspect(id).state).toBe("running");
  });

  it("that are read while it is removed by force are given up, and the removal does not wait", async () => {
    const id = await create();
    await put(id, "note", 3_000_000);
    const { archive } = await world.engine.readFiles(id, "/srv", call);
    const waiting = failure(world.engine.statFile(id, "/srv", call));
    await world.engine.remove(id, { force: true, volumes: false }, call);
    expect(await failure(contentsOf(archive))).toMatchObject({ code: "WRONG_STATE", message: expect.stringContaining("marked for removal") });
    expect(await waiting).toMatchObject({ code: "WRONG_STATE" });
    expect(world.host.snapshot()).toEqual({ standing: [], places: [] });
  });

  it("are given up when the daemon ends", async () => {
    const id = await create();
    const { archive } = await world.engine.readFiles(id, "/srv", call);
    await world.engine.close();
    expect(await failure(contentsOf(archive))).toMatchObject({ code: "UNAVAILABLE" });
  });

  it("are not copied while it is paused", async () => {
    const id = await create();
    await world.engine.start(id, call);
    await world.engine.pause(id, call);
    expect(await failure(get(id, "/srv"))).toMatchObject({ code: "WRONG_STATE", message: expect.stringContaining("is paused"), remedy: "Resume it." });
  });

  it("that are missing are told apart from a workload that is missing", async () => {
    const id = await create({ name: "web" });
    expect(await failure(get(id, "/nothing"))).toMatchObject({ code: "NOT_FOUND", message: "Could not find the file /nothing in container web", workload: id });
    expect(await failure(get("nobody", "/nothing"))).toMatchObject({ code: "NOT_FOUND", workload: undefined });
    await world.engine.start(id, call);
    expect(await failure(put(id, "nothing/", "x").then(() => get(id, "/nothing")))).toMatchObject({ code: "NOT_FOUND", workload: id });
  });

  it("a boundary without them says so, and what to do instead", async () => {
    world.dispose();
    world = makeWorld({ driver: { facets: ["exec"] } });
    const id = await create();
    expect(await failure(get(id, "/srv"))).toMatchObject({ code: "UNSUPPORTED", boundary: "container", remedy: expect.stringContaining("tar by exec") });
    await expect.poll(() => world.host.standing.size).toBe(0);
  });

  it("a link's target is told as where it leads in the end", async () => {
    const id = await create();
    const links = {
      archive: archiveOf([
        { name: "releases", type: "directory" },
        { name: "releases/2", bytes: "two" },
        { name: "newest", type: "symlink", linkname: "releases/2" },
        { name: "current", type: "symlink", linkname: "../srv/./newest" },
        { name: "away", type: "symlink", linkname: "/srv/releases/3/x" },
        { name: "round", type: "symlink", linkname: "round" },
      ]),
      options: OPTIONS,
    };
    await world.engine.writeFiles(id, "/srv", links, call);
    const target = async (path: string) => (await world.engine.statFile(id, path, call)).linkTarget;
    expect(await target("/srv/current")).toBe("/srv/releases/2");
    expect(await target("srv/away")).toBe("/srv/releases/3/x");
    expect(await failure(target("/srv/round"))).toMatchObject({ code: "INVALID_SPEC" });
    expect(await world.engine.statFile(id, "/srv/releases/..", call)).toMatchObject({ name: "srv" });
  });

  it("are let go where it cannot be said where a link leads", async () => {
    const id = await create();
    await world.engine.writeFiles(id, "/srv", { archive: archiveOf([{ name: "round", type: "symlink", linkname: "round" }]), options: OPTIONS }, call);
    const { driver } = world;
    const launch = driver.launch.bind(driver);
    const returned: string[] = [];
    vi.spyOn(driver, "launch").mockImplementation(async (...given) => {
      const sandbox = await launch(...given);
      const { files } = sandbox;
      if (files === undefined) return sandbox;
      const read: FilesFacet["read"] = async (path, asked) => {
        const { stat, archive } = await files.read(path, asked);
        const pieces = archive[Symbol.asyncIterator]();
        const leave = () => (returned.push(path), Promise.resolve({ done: true, value: undefined }) as Promise<IteratorResult<Uint8Array>>);
        return { stat, archive: { [Symbol.asyncIterator]: () => ({ next: () => pieces.next(), return: leave }) } };
      };
      return { ...sandbox, files: { ...files, read } };
    });
    expect(await failure(world.engine.readFiles(id, "/srv/round", call))).toMatchObject({ code: "INVALID_SPEC" });
    expect(returned).toEqual(["/srv/round"]);
  });

  it("are told of by one event each way, and a look by none", async () => {
    const id = await create();
    const abort = new AbortController();
    const seen: string[] = [];
    const events = world.engine.events({}, plainCall(abort.signal));
    const watching = (async () => {
      for await (const { name, attributes } of events) if (name.startsWith("files")) seen.push(`${name} ${attributes.path}`);
    })();
    await put(id, "note", "hello");
    await world.engine.statFile(id, "/srv/note", call);
    await get(id, "/srv/note");
    abort.abort();
    await watching;
    expect(seen).toEqual(["files-written /srv", "files-read /srv/note"]);
  });
});
