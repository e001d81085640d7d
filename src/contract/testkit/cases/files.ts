import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { Sandbox } from "../../sandbox.ts";
import { archiveOf, contentsOf, type ArchiveEntry } from "../archives.ts";
import { failureCode, need, type Stage, until } from "../stage.ts";
import type { ConformanceCase } from "./case.ts";

const AS_THEY_ARE = { keepKinds: false, keepOwners: true };
const KEEP_KINDS = { keepKinds: true, keepOwners: false };
const LARGE_BYTES = 12 * 1024 * 1024;

const files = (title: string, run: ConformanceCase["run"], needs: Partial<ConformanceCase> = {}): ConformanceCase => ({ title, needs: "files", ...needs, run });

const write = ({ stage, sandbox }: { stage: Stage; sandbox: Sandbox }, directory: string, entries: readonly ArchiveEntry[], options = AS_THEY_ARE) =>
  need(sandbox.files).write(directory, archiveOf(entries), options, stage.call);

const read = async (stage: Stage, sandbox: Sandbox, path: string) => contentsOf((await need(sandbox.files).read(path, stage.call)).archive);

/** One of everything that needs no privilege of the host's. */
const TREE: readonly ArchiveEntry[] = [
  { name: "tree", type: "directory", mode: 0o750, uid: 7, gid: 8, modified: 1_500_000_000 },
  { name: "tree/plain", bytes: "what is in it\n", mode: 0o640, uid: 1000, gid: 50, modified: 1_400_000_001 },
  { name: "tree/empty", bytes: "", mode: 0o4755, modified: 1_400_000_002 },
  { name: `tree/${"long ".repeat(30)}name`, bytes: "long", mode: 0o600 },
  { name: "tree/hard", type: "link", linkname: "tree/plain" },
  { name: "tree/soft", type: "symlink", linkname: "plain" },
];

export const FILE_CASES: readonly ConformanceCase[] = [
  files("stat tells what lies there: a file, a directory, a link that it does not follow, and nothing", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    await write({ stage, sandbox }, "/", TREE);
    const stat = (path: string) => need(sandbox.files).stat(path, stage.call);
    expect(await stat("/tree/plain")).toMatchObject({ name: "plain", sizeBytes: 14, mode: 0o100640, linkTarget: "" });
    expect(Date.parse((await stat("/tree/plain")).modifiedAt)).toBe(1_400_000_001_000);
    expect(await stat("/tree")).toMatchObject({ name: "tree", mode: 0o040750 });
    expect(await stat("/tree/soft")).toMatchObject({ name: "soft", linkTarget: "plain" });
    expect(((await stat("/tree/soft")).mode & 0o170000).toString(8)).toBe("120000");
    expect(await stat("/")).toMatchObject({ name: "/" });
    for (const path of ["/nothing", "/tree/nothing/below"]) expect(await failureCode(stat(path))).toBe("NOT_FOUND");
  }),
  files("what is written comes back: bytes, modes, owners, times, links, long names; and its names begin as the path ends", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    await write({ stage, sandbox }, "/", TREE);
    const found = await read(stage, sandbox, "/tree");
    expect(new Set(Object.keys(found))).toEqual(new Set(TREE.map(({ name }) => name)));
    expect(found["tree"]).toMatchObject({ type: "directory", mode: 0o750, uid: 7, gid: 8, modified: 1_500_000_000 });
    expect(found["tree/empty"]).toMatchObject({ type: "file", mode: 0o4755, text: "", modified: 1_400_000_002 });
    expect(found["tree/soft"]).toMatchObject({ type: "symlink", linkname: "plain" });
    // Either of a file's two names may come first.
    const pair = [found["tree/plain"], found["tree/hard"]];
    expect(new Set(pair.map((entry) => entry?.type))).toEqual(new Set(["file", "link"]));
    expect(pair.find((entry) => entry?.type === "file")).toMatchObject({ text: "what is in it\n", mode: 0o640, uid: 1000, gid: 50, modified: 1_400_000_001 });
    expect((await stage.exec(sandbox, stage.say.read("/tree/plain"))).stdout.toString()).toBe("what is in it\n");
    await write({ stage, sandbox }, "/", [{ name: "way", type: "symlink", linkname: "tree" }]);
    const names = async (path: string) => Object.keys(await read(stage, sandbox, path));
    expect(await names("/tree/plain")).toEqual(["plain"]);
    expect(await names("/tree/.")).toEqual(expect.arrayContaining([".", "./plain"]));
    expect(await names("/way")).toEqual(["way"]);
    expect(await names("/way/")).toEqual(expect.arrayContaining(["way", "way/plain"]));
    expect(await failureCode(names("/nothing"))).toBe("NOT_FOUND");
    await write({ stage, sandbox }, "/", [{ name: "mine", bytes: "", uid: 1000, gid: 50 }], { keepKinds: false, keepOwners: false });
    expect((await read(stage, sandbox, "/mine"))["mine"]).toMatchObject({ uid: 0, gid: 0 });
  }),
  files("an archive goes into a directory that is there and nowhere else, and is refused where it is cut or none", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    const one: readonly ArchiveEntry[] = [{ name: "one", bytes: "1" }];
    await write({ stage, sandbox }, "/", [{ name: "plain", bytes: "" }]);
    expect(await failureCode(write({ stage, sandbox }, "/nothing", one))).toBe("NOT_FOUND");
    expect(await failureCode(write({ stage, sandbox }, "/plain", one))).toBe("INVALID_SPEC");
    const pieces: Uint8Array[] = [];
    for await (const piece of archiveOf([{ name: "whole", bytes: 100_000 }])) pieces.push(piece);
    const put = (bytes: Uint8Array) => failureCode(need(sandbox.files).write("/", single(bytes), AS_THEY_ARE, stage.call));
    expect(await put(Buffer.concat(pieces).subarray(0, 50_000))).toBe("CORRUPT_DATA");
    expect(await put(Buffer.alloc(1024, "no archive "))).toBe("CORRUPT_DATA");
  }),
  files("what lies there is replaced by what comes, but not a directory by a file where kinds are kept", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    const here: readonly ArchiveEntry[] = [
      { name: "folder", type: "directory" },
      { name: "folder/below", bytes: "" },
      { name: "plain", bytes: "before" },
    ];
    await write({ stage, sandbox }, "/", here);
    expect(await failureCode(write({ stage, sandbox }, "/", [{ name: "folder", bytes: "a file" }], KEEP_KINDS))).toBe("INVALID_SPEC");
    expect(await failureCode(write({ stage, sandbox }, "/", [{ name: "plain", type: "directory" }], KEEP_KINDS))).toBe("INVALID_SPEC");
    await write({ stage, sandbox }, "/", [{ name: "plain", bytes: "after" }], KEEP_KINDS);
    expect((await read(stage, sandbox, "/plain"))["plain"]?.text).toBe("after");
    await write({ stage, sandbox }, "/", [{ name: "folder", bytes: "a file" }]);
    expect((await read(stage, sandbox, "/folder"))["folder"]?.text).toBe("a file");
  }),
  files("a link in the way is followed inside; one that stands where a file shall be is replaced", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    const host = await stage.harness.makeHostDirectory();
    await writeFile(join(host, "canary"), "the host's");
    await write({ stage, sandbox }, "/", [
      { name: "out", type: "symlink", linkname: host },
      { name: "file", type: "symlink", linkname: join(host, "canary") },
    ]);
    expect(await failureCode(need(sandbox.files).stat("/out/canary", stage.call))).toBe("NOT_FOUND");
    expect(await failureCode(write({ stage, sandbox }, "/out", [{ name: "canary", bytes: "changed" }]))).toBe("NOT_FOUND");
    await write({ stage, sandbox }, "/", [{ name: "file", bytes: "changed" }]);
    expect((await read(stage, sandbox, "/file"))["file"]).toMatchObject({ type: "file", text: "changed" });
    expect(await readFile(join(host, "canary"), "utf8")).toBe("the host's");
  }),
  files("twelve megabytes, more than all buffers on the way hold, go in and come out whole", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    await write({ stage, sandbox }, "/", [{ name: "large", bytes: LARGE_BYTES }]);
    const { stat, archive } = await need(sandbox.files).read("/large", stage.call);
    expect(stat.sizeBytes).toBe(LARGE_BYTES);
    expect((await contentsOf(archive))["large"]).toMatchObject({ sizeBytes: LARGE_BYTES, filling: true });
  }),
  files("a sandbox that is held has files already, and its program finds them", async (stage) => {
    const { sandbox } = await stage.raise(stage.say.read("/before"));
    await write({ stage, sandbox }, "/", [{ name: "before", bytes: "was there first" }]);
    expect((await read(stage, sandbox, "/before"))["before"]?.text).toBe("was there first");
    expect((await stage.finish(sandbox)).stdout.toString()).toBe("was there first");
  }),
  files(
    "a volume and a tmpfs are seen as the workload sees them, also while it is held",
    async (stage) => {
      const host = await stage.harness.makeHostDirectory();
      const mounts = [
        { kind: "bind", source: host, target: "/volume", readOnly: false },
        { kind: "tmpfs", target: "/scratch", readOnly: false, options: [] },
      ] as const;
      const { sandbox } = await stage.raise(stage.say.read("/scratch/there"), {}, { mounts });
      await write({ stage, sandbox }, "/volume", [{ name: "there", bytes: "in the volume" }]);
      await write({ stage, sandbox }, "/scratch", [{ name: "there", bytes: "in memory" }]);
      expect(await readFile(join(host, "there"), "utf8")).toBe("in the volume");
      expect((await stage.finish(sandbox)).stdout.toString()).toBe("in memory");
    },
    { needsHostPaths: true },
  ),
  files(
    "a read-only root is read, and refuses what is written",
    async (stage) => {
      const { sandbox } = await stage.raiseSleeper(await readOnly(stage));
      expect(await failureCode(write({ stage, sandbox }, "/", [{ name: "new", bytes: "" }]))).toBe("INVALID_SPEC");
      expect((await need(sandbox.files).stat("/etc", stage.call)).name).toBe("etc");
    },
    { needsKernel: true },
  ),
  files("a reader that goes away half-way, and a writer that is given up, leave nobody inside", async (stage) => {
    const { sandbox } = await stage.raiseSleeper();
    await write({ stage, sandbox }, "/", [{ name: "large", bytes: LARGE_BYTES }]);
    const before = await crowd(stage, sandbox);
    for await (const piece of (await need(sandbox.files).read("/large", stage.call)).archive) if (piece.length > 0) break;
    const abort = new AbortController();
    const endless = archiveOf([{ name: "slow", bytes: LARGE_BYTES }], () => abort.abort());
    expect(await failureCode(need(sandbox.files).write("/", endless, AS_THEY_ARE, { ...stage.call, signal: abort.signal }))).toBe("CANCELLED");
    await until(async () => (await crowd(stage, sandbox)) === before);
    expect((await need(sandbox.files).stat("/large", stage.call)).sizeBytes).toBe(LARGE_BYTES);
  }),
  files("files of what has ended are WRONG_STATE", async (stage) => {
    const { sandbox } = await stage.raise(stage.say.exit(0));
    await sandbox.start(stage.call);
    await sandbox.ended;
    expect(await failureCode(need(sandbox.files).stat("/", stage.call))).toBe("WRONG_STATE");
    expect(await failureCode(write({ stage, sandbox }, "/", []))).toBe("WRONG_STATE");
  }),
];

async function* single(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function readOnly(stage: Stage) {
  const { security } = await stage.harness.makeSpec();
  return { security: { ...security, readOnlyRoot: true } };
}

/** Processes inside, as far as the boundary can tell. */
const crowd = async (stage: Stage, sandbox: Sandbox): Promise<number> =>
  (await sandbox.top?.processes(stage.call))?.rows.length ?? (await sandbox.stats(stage.call)).pids;
