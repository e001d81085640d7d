/** One image as overlay directories and as one drive, with as many layers as images have. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { type Bench, buildUnpacker, call, openBench, pieces, quiet } from "./bench.ts";
import { archiveOf } from "./registry.ts";

beforeAll(buildUnpacker);

const LAYERS = 40;

async function loadMany(bench: Bench): Promise<string> {
  const layers = Array.from({ length: LAYERS }, (_, index) => Buffer.from(`contents of ${index}\n`.repeat(index * 50 + 1)));
  const [view] = await bench.images.load(pieces(archiveOf(layers, "many:1", bench.directory)), quiet, call());
  return view?.id as string;
}

test("forty layers are one drive, whose parts are the layers' own files", async () => {
  await using bench = await openBench();
  const id = await loadMany(bench);
  const root = await bench.images.root(id, "block-image", call());
  if (root.form !== "block-image") throw new Error("not a drive");
  expect(root.layers).toHaveLength(LAYERS);
  expect(root.extents).toHaveLength(LAYERS + 1);
  const raw = join(bench.directory, "raw");
  // QEMU's own reading of the descriptor.
  execFileSync("qemu-img", ["convert", "-f", "vmdk", "-O", "raw", root.drive.path, raw]);
  const bytes = readFileSync(raw);
  expect(bytes.length).toBe(root.extents.reduce((sum, path) => sum + statSync(path).size, 0));
  expect(bytes.subarray(0, 1024 * 1024).every((byte) => byte === 0)).toBe(true);
  for (const [index, { offsetBytes, lengthBytes }] of root.layers.entries()) {
    const file = root.extents[LAYERS - index] as string;
    expect(offsetBytes % 512).toBe(0);
    expect(bytes.subarray(offsetBytes, offsetBytes + lengthBytes).equals(readFileSync(file))).toBe(true);
  }
  expect(await bench.images.root(id, "block-image", call())).toEqual(root);
  await bench.reopen();
  expect(await bench.images.root(id, "block-image", call())).toEqual(root);
});

test("both forms show the same files", async () => {
  await using bench = await openBench();
  const id = await loadMany(bench);
  const [trees, drive] = [await bench.images.root(id, "directories", call()), await bench.images.root(id, "block-image", call())];
  if (trees.form !== "directories" || drive.form !== "block-image") throw new Error("other forms");
  const list = (script: string) =>
    execFileSync("unshare", ["-m", "sh", "-ec", `mount --make-rprivate /; ${script}`], { encoding: "utf8", cwd: bench.directory });
  for (const name of ["merged", "raw", "each"]) mkdirSync(join(bench.directory, name));
  const shown = `cd merged; find . -type f -exec sha256sum {} + | sort`;
  // Relative, because forty long names are more than mount(2)'s one page; the launcher names them by descriptor.
  const lowers = trees.layers.map((path) => relative(join(bench.directory, "images/layers"), path)).join(":");
  const fromTrees = list(`cd images/layers; mount -i -t overlay -o ro,lowerdir=${lowers} overlay ../../merged; cd ../..; ${shown}`);
  const mounts = drive.layers.map(
    ({ offsetBytes, lengthBytes }, index) =>
      `mkdir each/${index}; mount -t erofs -o ro,loop,offset=${offsetBytes},sizelimit=${lengthBytes} raw/drive each/${index}`,
  );
  const script = `qemu-img convert -f vmdk -O raw ${drive.drive.path} raw/drive; ${mounts.join("; ")}; mount -t overlay -o ro,lowerdir=${drive.layers.map((_, index) => `each/${index}`).join(":")} overlay merged; ${shown}`;
  expect(fromTrees.split("\n")).toHaveLength(LAYERS + 1);
  expect(list(script)).toBe(fromTrees);
});

test("images on one base store it once, in both forms", async () => {
  await using bench = await openBench();
  const base = Buffer.alloc(5_000_000, "base");
  const ids: string[] = [];
  for (let index = 0; index < 10; index++) {
    const [view] = await bench.images.load(pieces(archiveOf([base, Buffer.from(`own ${index}`)], `app:${index}`, bench.directory)), quiet, call());
    ids.push(view?.id as string);
  }
  const roots = await Promise.all(ids.map((id) => bench.images.root(id, "directories", call())));
  expect(new Set(roots.map((root) => (root.form === "directories" ? root.layers.at(-1) : ""))).size).toBe(1);
  const drives = await Promise.all(ids.map((id) => bench.images.root(id, "block-image", call())));
  expect(new Set(drives.map((root) => (root.form === "block-image" ? root.extents[1] : ""))).size).toBe(1);
  const used = Number(execFileSync("du", ["-sm", join(bench.directory, "images")], { encoding: "utf8" }).split("\t")[0]);
  // The blob, the tree and the erofs image of the base, and little besides.
  expect(used).toBeLessThan(18);
  expect(readdirSync(join(bench.directory, "images/layers"))).toHaveLength(11);
});

test("the drive goes with its image", async () => {
  await using bench = await openBench();
  const id = await loadMany(bench);
  const root = await bench.images.root(id, "block-image", call());
  if (root.form !== "block-image") throw new Error("not a drive");
  await bench.images.remove("many:1", { force: false, prune: true });
  expect(existsSync(root.drive.path)).toBe(false);
  expect(readdirSync(join(bench.directory, "images/layers"))).toEqual([]);
  await expect(bench.images.root(id, "block-image", call())).rejects.toMatchObject({ code: "NOT_FOUND" });
});
