import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { plainCall } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { LauncherAsk, LauncherOk, LauncherVerb } from "../contract/launcher-protocol.ts";
import type { Collection } from "../state/index.ts";
import { openVolumes, type VolumeLauncher, type VolumeRecord } from "./volumes.ts";

const call = plainCall();
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "bulkhead-volumes-"));
});
afterEach(() => rmSync(root, { recursive: true }));

function bed(failing = false) {
  const documents = new Map<string, VolumeRecord>();
  const store: Collection<VolumeRecord> = {
    get: (key) => documents.get(key),
    put: (key, document) => void documents.set(key, document),
    delete: (key) => void documents.delete(key),
    all: () => documents.entries(),
  };
  const asked: string[] = [];
  const launcher: VolumeLauncher = {
    request: async <V extends "volumeCreate" | "volumeRemove" | "volumeFill" | "diskUse">(verb: V, ask: LauncherAsk<V>): Promise<LauncherOk<V>> => {
      const directories = "directories" in ask ? ask.directories : [ask.directory];
      for (const directory of directories) asked.push(`${verb} ${directory.slice(root.length)}`);
      await Promise.resolve();
      if (failing) throw new Failure("EXHAUSTED", "the disk is full");
      const answer = { filled: true, bytes: directories.map((_, at) => at) };
      return answer as LauncherOk<LauncherVerb> as LauncherOk<V>;
    },
  };
  return { volumes: openVolumes({ root, launcher, store, now: () => 0 }), asked, documents };
}

describe("volumes", () => {
  it("are made once under their name", async () => {
    const { volumes, asked } = bed();
    const [one, same] = await Promise.all([volumes.create({ name: "data", labels: { a: "b" } }, call), volumes.create({ name: "data" }, call)]);
    expect(one).toEqual({ name: "data", directory: join(root, "volumes/data"), createdAt: "1970-01-01T00:00:00.000Z", labels: { a: "b" }, anonymous: false });
    expect(same).toEqual(one);
    expect(asked).toEqual(["volumeCreate /volumes/data"]);
    expect(volumes.list()).toEqual([one]);
  });

  it("lie where no other user of the host can run what a workload left in them", () => {
    mkdirSync(join(root, "volumes"), { mode: 0o755 });
    bed();
    expect(statSync(join(root, "volumes")).mode & 0o777).toBe(0o700);
  });

  it("get 64 digits where nobody names them", async () => {
    const { volumes } = bed();
    const [one, other] = [await volumes.create({}, call), await volumes.create({}, call)];
    expect(one).toMatchObject({ anonymous: true, name: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(other.name).not.toBe(one.name);
  });

  it("have names that stay below the root", async () => {
    const { volumes, asked } = bed();
    for (const name of ["", "..", ".", "a/b", "-a", "a\0", "a\n", "x".repeat(256), "./data"])
      await expect(volumes.create({ name }, call)).rejects.toMatchObject({ code: "INVALID_SPEC" });
    expect(asked).toEqual([]);
  });

  it("are not removed while a workload holds them", async () => {
    const { volumes, asked } = bed();
    await volumes.create({ name: "data" }, call);
    volumes.hold("data", "a".repeat(64));
    volumes.hold("data", "b".repeat(64));
    volumes.release("a".repeat(64));
    await expect(volumes.remove("data", call)).rejects.toThrow('volume "data" is in use by workload bbbbbbbbbbbb');
    volumes.release("b".repeat(64));
    await volumes.remove("data", call);
    expect(asked.at(-1)).toBe("volumeRemove /volumes/data");
    expect(() => volumes.get("data")).toThrow('no such volume: "data"');
    await expect(volumes.remove("data", call)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("are not remembered when their directory could not be made", async () => {
    const { volumes, documents } = bed(true);
    await expect(volumes.create({ name: "data" }, call)).rejects.toMatchObject({ code: "EXHAUSTED" });
    expect(documents.size).toBe(0);
  });

  it("are made anew by whoever asks while they are removed", async () => {
    const { volumes, asked } = bed();
    await volumes.create({ name: "data" }, call);
    const removing = volumes.remove("data", call);
    await volumes.create({ name: "data" }, call);
    await removing;
    expect(asked.map((line) => line.split(" ")[0])).toEqual(["volumeCreate", "volumeRemove", "volumeCreate"]);
    expect(volumes.get("data").name).toBe("data");
  });
});

describe("anonymous volumes of a workload", () => {
  it("go when the workload never comes to be", async () => {
    const { volumes, asked } = bed();
    const mine = await volumes.create({ madeFor: "w1" }, call);
    const named = await volumes.create({ name: "data", madeFor: "w1" }, call);
    const other = await volumes.create({ madeFor: "w2" }, call);
    volumes.hold(mine.name, "w1");
    await volumes.abandon("w1", call);
    expect(volumes.list()).toEqual([named, other]);
    expect(asked.at(-1)).toBe(`volumeRemove /volumes/${mine.name}`);
  });

  it("are swept after a crash, unless their workload is there or they were kept without it", async () => {
    const { volumes } = bed();
    const [there, kept, lost] = [
      await volumes.create({ madeFor: "there" }, call),
      await volumes.create({ madeFor: "gone" }, call),
      await volumes.create({ madeFor: "never" }, call),
    ];
    volumes.keep("gone");
    await volumes.sweep((workload) => workload === "there", call);
    expect(volumes.list()).toEqual([there, kept]);
    expect(() => volumes.get(lost.name)).toThrow("no such volume");
  });

  it("leave no directory behind whose record was never written", async () => {
    const { volumes, asked } = bed();
    const known = await volumes.create({}, call);
    for (const name of [known.name, "stray", ".stray.filling"]) mkdirSync(join(root, "volumes", name), { recursive: true });
    await volumes.sweep(() => true, call);
    expect(asked.slice(1)).toEqual(["volumeRemove /volumes/stray"]);
  });
});

describe("binding a path of the host", () => {
  const bind = (source: string, createSource = false, target = "/data/") => bed().volumes.bind({ source, target, readOnly: true, createSource }, call);

  it("takes files and directories as they are", async () => {
    writeFileSync(join(root, "file"), "");
    expect(await bind(join(root, "file"))).toEqual({ kind: "bind", source: join(root, "file"), target: "/data", readOnly: true });
    expect(await bind(`${root}/./volumes/../`)).toMatchObject({ source: root });
  });

  it("makes a missing directory only when asked to", async () => {
    await expect(bind(join(root, "a/b"))).rejects.toMatchObject({ code: "INVALID_SPEC", message: expect.stringContaining("does not exist") });
    expect(existsSync(join(root, "a"))).toBe(false);
    await bind(join(root, "a/b"), true);
    expect(existsSync(join(root, "a/b"))).toBe(true);
    writeFileSync(join(root, "file"), "");
    await expect(bind(join(root, "file/below"), true)).rejects.toMatchObject({ code: "INVALID_SPEC" });
  });

  it("takes absolute paths alone", async () => {
    await expect(bind("data", true)).rejects.toThrow("must be an absolute path");
    await expect(bind(root, false, "data")).rejects.toThrow("must be an absolute path");
    await expect(bind(root, false, "/x/..")).rejects.toThrow("below /");
  });
});
