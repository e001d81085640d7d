/** Files here, packed and unpacked: what is whole comes back whole, and what is hostile stays where it belongs. */

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Header, pack } from "tar-stream";
import { findLanding } from "./copy-rules.ts";
import { findLocalDestination } from "./local-destination.ts";
import { findLocalSource, measureLocal, packLocal } from "./local-source.ts";
import { unpackLocal } from "./unpack.untrusted.ts";

let root: string;
const path = (...parts: string[]) => join(root, ...parts);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "bulkhead-copy-"));
  mkdirSync(path("to"));
  writeFileSync(path("canary"), "untouched");
});
afterEach(() => {
  execFileSync("chmod", ["-R", "u+rwx", root]);
  rmSync(root, { recursive: true, force: true });
});

/** As `cp` does between two sides, without a daemon between them. */
async function copy(from: string, to: string, how: { readonly followLink?: boolean; readonly archiveMode?: boolean } = {}): Promise<string[]> {
  const source = await findLocalSource(from, how.followLink === true);
  const landing = findLanding(source, await findLocalDestination(to));
  const left: string[] = [];
  await unpackLocal(
    packLocal(source, source.base, (at) => left.push(at)),
    { base: source.base, landing, archiveMode: how.archiveMode === true, leftOut: (at) => left.push(at) },
  );
  return left;
}

function makeTree(): void {
  mkdirSync(path("tree/deep/er"), { recursive: true });
  writeFileSync(path("tree/plain"), "what is in it\n", { mode: 0o640 });
  writeFileSync(path("tree/deep/er/empty"), "");
  writeFileSync(path("tree", `${"long ".repeat(40)}n\u00e4me`), "long");
  writeFileSync(path("tree/runs"), "#!", { mode: 0o755 });
  chmodSync(path("tree/runs"), 0o4755);
  linkSync(path("tree/plain"), path("tree/zweit"));
  symlinkSync("/nowhere/at/all", path("tree/deep/away"));
  utimesSync(path("tree/deep/er"), 1_400_000_000, 1_400_000_000);
  chmodSync(path("tree/deep"), 0o500);
}

describe("files of a tree", () => {
  it("come back whole: bytes, permissions, times, links of both kinds, long names", async () => {
    makeTree();
    await copy(path("tree"), path("to/copied"));
    const list = (at: string) => execFileSync("find", [".", "-printf", "%p %y %m %s %l\n"], { cwd: at }).toString().split("\n").sort();
    expect(list(path("to/copied")).map((line) => line.replace(" d 500 ", " d 555 "))).toEqual(
      list(path("tree")).map((line) => line.replace("4755", "755").replace(" d 500 ", " d 555 ")),
    );
    expect(statSync(path("to/copied/deep/er")).mtimeMs).toBe(1_400_000_000_000);
    expect(statSync(path("to/copied/zweit")).ino).toBe(statSync(path("to/copied/plain")).ino);
    expect(readdirSync(path("to"))).toEqual(["copied"]);
  });

  it("keep set-user-id bits and owners in archive mode only", async () => {
    writeFileSync(path("runs"), "#!");
    chmodSync(path("runs"), 0o4755);
    await copy(path("runs"), path("to"), { archiveMode: process.geteuid?.() === 0 });
    expect(statSync(path("to/runs")).mode & 0o7777).toBe(process.geteuid?.() === 0 ? 0o4755 : 0o755);
    await copy(path("runs"), path("to"));
    expect(statSync(path("to/runs")).mode & 0o7777).toBe(0o755);
  });

  it("land as docker's do: renamed, inside, over a file, through a link that the user named", async () => {
    makeTree();
    await copy(`${path("tree")}/.`, path("to"));
    expect(readFileSync(path("to/plain"), "utf8")).toBe("what is in it\n");
    await copy(path("tree"), path("to"));
    expect(readFileSync(path("to/tree/plain"), "utf8")).toBe("what is in it\n");
    writeFileSync(path("to/old"), "old");
    await copy(path("tree/plain"), path("to/old"));
    expect(readFileSync(path("to/old"), "utf8")).toBe("what is in it\n");
    symlinkSync("to/old", path("way"));
    writeFileSync(path("newer"), "newer");
    await copy(path("newer"), path("way"));
    expect([readFileSync(path("to/old"), "utf8"), lstatSync(path("way")).isSymbolicLink()]).toEqual(["newer", true]);
    await expect(copy(path("tree"), path("to/old"))).rejects.toThrow("cannot copy directory");
    await expect(copy(path("newer"), path("to/fresh/"))).rejects.toThrow("no such directory");
    await expect(copy(path("newer"), path("to/a/b"))).rejects.toThrow("does not exist");
    await expect(copy(path("newer/"), path("to"))).rejects.toThrow("newer");
  });

  it("a link is copied as a link, and what it leads to where that is asked for, under the link's name", async () => {
    symlinkSync("canary", path("way"));
    await copy(path("way"), path("to"));
    expect(readlinkSync(path("to/way"))).toBe("canary");
    rmSync(path("to/way"));
    await copy(path("way"), path("to"), { followLink: true });
    expect([lstatSync(path("to/way")).isFile(), readFileSync(path("to/way"), "utf8")]).toEqual([true, "untouched"]);
  });

  it("a directory is not replaced by a file, nor a file by a directory", async () => {
    mkdirSync(path("to/canary"));
    await expect(copy(path("canary"), path("to"))).rejects.toThrow("cannot overwrite directory");
    mkdirSync(path("plain"));
    writeFileSync(path("to/plain"), "");
    await expect(copy(path("plain"), path("to"))).rejects.toThrow("cannot overwrite non-directory");
  });

  it("is measured as far as it is still there", async () => {
    makeTree();
    expect(await measureLocal({ path: path("tree") })).toBeGreaterThan(28);
    expect(await measureLocal({ path: path("canary") })).toBe(9);
    expect(await measureLocal({ path: path("gone") })).toBe(0);
  });

  it("what no archive carries is told and left out, and what no user can make here as well", async () => {
    mkdirSync(path("odd"));
    execFileSync("mkfifo", [path("odd/fifo")]);
    writeFileSync(path("odd/plain"), "");
    expect(await copy(path("odd"), path("to"))).toEqual(["odd/fifo"]);
    expect(readdirSync(path("to/odd"))).toEqual(["plain"]);
  });
});

type Hostile = Partial<Header> & { readonly name: string; readonly text?: string };

async function* archive(entries: readonly Hostile[], cutAfter = Number.POSITIVE_INFINITY): AsyncGenerator<Uint8Array> {
  const made = pack();
  for (const { text = "changed", ...header } of entries) made.entry(header, header.type === undefined ? text : "");
  made.finalize();
  let given = 0;
  for await (const piece of made) {
    const bytes = (piece as Uint8Array).subarray(0, Math.max(0, cutAfter - given));
    given += bytes.length;
    if (bytes.length > 0) yield bytes;
  }
}

const unpack = (entries: readonly Hostile[], base = "x") =>
  unpackLocal(archive(entries), { base, landing: { directory: path("to"), name: "x" }, archiveMode: false, leftOut: () => {} });

/** What unpacks without a thought, as the control: each of these archives changes what lies outside. */
async function unpackCarelessly(entries: readonly Hostile[]): Promise<void> {
  for (const { name, type, linkname = "", text = "changed" } of entries) {
    const at = name.startsWith("/") ? name : join(path("to"), name);
    if (type === "directory") mkdirSync(at, { recursive: true });
    else if (type === "symlink") symlinkSync(linkname, at);
    else if (type === "link") linkSync(linkname.startsWith("/") ? linkname : join(path("to"), linkname), at);
    else writeFileSync(at, text);
  }
}

const ATTACKS: readonly (readonly [string, () => readonly Hostile[]])[] = [
  ["a name that leads up", () => [{ name: "../canary" }]],
  ["a name that leads up behind the right beginning", () => [{ name: "x", type: "directory" }, { name: "x/../../canary" }]],
  ["a name from the root", () => [{ name: path("canary") }]],
  ["a link to a directory outside, and a file behind it", () => [{ name: "x", type: "symlink", linkname: root }, { name: "x/canary" }]],
  ["the same, deeper", () => [{ name: "x", type: "directory" }, { name: "x/d", type: "symlink", linkname: "../.." }, { name: "x/d/canary" }]],
  ["a link to a file outside, and a file of its name", () => [{ name: "x", type: "symlink", linkname: path("canary") }, { name: "x" }]],
  ["a second name for a file outside, and a file of its name", () => [{ name: "x", type: "link", linkname: "../canary" }, { name: "x" }]],
  ["the same, from the root", () => [{ name: "x", type: "link", linkname: path("canary") }, { name: "x" }]],
  [
    "a second name by way of a link",
    () => [
      { name: "x", type: "directory" },
      { name: "x/d", type: "symlink", linkname: "../.." },
      { name: "x/e", type: "link", linkname: "x/d/canary" },
      { name: "x/e" },
    ],
  ],
];

describe("an archive made up by whoever is in the workload", () => {
  it.each(ATTACKS)("changes nothing outside by %s; a careless unpacking is changed by it", async (_title, entries) => {
    await unpack(entries()).catch(() => undefined);
    expect(readFileSync(path("canary"), "utf8")).toBe("untouched");
    expect(readdirSync(root).sort()).toEqual(["canary", "to"]);
    rmSync(path("to"), { recursive: true });
    mkdirSync(path("to"));
    await unpackCarelessly(entries()).catch(() => undefined);
    expect(readFileSync(path("canary"), "utf8")).toBe("changed");
  });

  it("follows no link that lay there before, and says what stands in the way", async () => {
    symlinkSync("..", path("to/x"));
    await expect(unpack([{ name: "x/canary" }])).rejects.toMatchObject({ code: "INVALID_SPEC", message: expect.stringContaining("is a link or a file") });
    expect(readFileSync(path("canary"), "utf8")).toBe("untouched");
  });

  it("a name that was not asked for is refused, and said", async () => {
    await expect(unpack([{ name: "other" }])).rejects.toMatchObject({ code: "CORRUPT_DATA", message: expect.stringContaining('"other"') });
    expect(readdirSync(path("to"))).toEqual([]);
  });

  it("that is cut leaves whole files and no half of one", async () => {
    const entries = [
      { name: "x", type: "directory" as const },
      { name: "x/first", text: "whole" },
      { name: "x/second", text: "y".repeat(100_000) },
    ];
    const cut = unpackLocal(archive(entries, 50_000), { base: "x", landing: { directory: path("to"), name: "x" }, archiveMode: false, leftOut: () => {} });
    await expect(cut).rejects.toMatchObject({ code: "CORRUPT_DATA" });
    expect(readdirSync(path("to/x"))).toEqual(["first"]);
    expect(existsSync(path("to/x/second"))).toBe(false);
  });
});
