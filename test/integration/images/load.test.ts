/** Loading, saving, importing, tagging and removing with the real unpacker. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { pack } from "tar-stream";
import { beforeAll, expect, test } from "vitest";
import { plainCall } from "../../../src/contract/call.ts";
import { busyboxArchive } from "../../../scripts/fixtures/busybox-image.ts";
import { buildUnpacker, call, gather, openBench, pieces, quiet } from "./bench.ts";

let busybox: Buffer;

beforeAll(async () => {
  await buildUnpacker();
  busybox = await busyboxArchive();
});

async function treeOf(bench: Awaited<ReturnType<typeof openBench>>, reference: string): Promise<string> {
  const root = await bench.images.root(bench.images.get(reference).id, "directories", call());
  if (root.form !== "directories") throw new Error("not directories");
  return root.layers[0] as string;
}

test("the embedded image is the same bytes each time it is made", async () => {
  expect((await busyboxArchive()).equals(busybox)).toBe(true);
});

test("a loaded image is found by name, id and short id, and its files run", async () => {
  await using bench = await openBench();
  const [view] = await bench.images.load(pieces(busybox), quiet, call());
  expect(view?.tags).toEqual(["busybox:latest"]);
  expect(view?.configuration.command).toEqual(["sh"]);
  expect(view?.sizeBytes).toBeGreaterThan(500_000);
  for (const name of ["busybox", "docker.io/library/busybox:latest", view?.id ?? "", view?.id.slice(7, 19) ?? ""])
    expect(bench.images.get(name).id).toBe(view?.id);
  const tree = await treeOf(bench, "busybox");
  expect(execFileSync("chroot", [tree, "/bin/sh", "-c", "cat /www/index.html; stat -c %a /tmp"], { encoding: "utf8" })).toMatch(/It works[^]*1777/);
  await bench.reopen();
  expect(bench.images.get("busybox").id).toBe(view?.id);
});

test.each([
  ["gzip", (bytes: Buffer) => gzipSync(bytes)],
  ["zstd", (bytes: Buffer) => zstdCompressSync(bytes)],
])("an archive compressed by %s loads as well", async (_, compress) => {
  await using bench = await openBench();
  const [view] = await bench.images.load(pieces(compress(busybox)), quiet, call());
  expect(view?.tags).toEqual(["busybox:latest"]);
});

test("what was saved loads again with the same identity, and docker's own tools read it", async () => {
  await using bench = await openBench();
  const [view] = await bench.images.load(pieces(busybox), quiet, call());
  await bench.images.tag("busybox", "localhost:5000/app:1");
  const saved = await gather(bench.images.save(["busybox", "localhost:5000/app:1"], call()));
  const file = join(bench.directory, "saved.tar");
  writeFileSync(file, saved);
  const docker = JSON.parse(execFileSync("skopeo", ["inspect", "--config", `docker-archive:${file}:localhost:5000/app:1`], { encoding: "utf8" })) as {
    config: { Cmd: string[] };
  };
  expect(docker.config.Cmd).toEqual(["sh"]);
  await using other = await openBench();
  const again = await other.images.load(pieces(saved), quiet, call());
  expect(again.map(({ id }) => id)).toContain(view?.id);
  expect([...other.images.get("busybox").tags].toSorted()).toEqual(["busybox:latest", "localhost:5000/app:1"]);
});

test("the old docker form with ID/layer.tar and links between equal layers loads", async () => {
  await using bench = await openBench();
  mkdirSync(join(bench.directory, "old"));
  const layer = join(bench.directory, "old/layer.tar");
  writeFileSync(join(bench.directory, "hello"), "hello\n");
  execFileSync("tar", ["-C", bench.directory, "-cf", layer, "hello"]);
  const digest = execFileSync("sha256sum", [layer], { encoding: "utf8" }).slice(0, 64);
  const archive = pack();
  const configuration = { architecture: "amd64", os: "linux", config: {}, rootfs: { type: "layers", diff_ids: [`sha256:${digest}`, `sha256:${digest}`] } };
  archive.entry({ name: "aaa/layer.tar" }, readFileSync(layer));
  archive.entry({ name: "bbb/layer.tar", type: "symlink", linkname: "../aaa/layer.tar" });
  archive.entry({ name: "config.json" }, JSON.stringify(configuration));
  archive.entry({ name: "manifest.json" }, JSON.stringify([{ Config: "config.json", RepoTags: ["old:1"], Layers: ["aaa/layer.tar", "bbb/layer.tar"] }]));
  archive.finalize();
  const [view] = await bench.images.load(archive as AsyncIterable<Uint8Array>, quiet, call());
  expect(view?.tags).toEqual(["old:1"]);
  expect(readFileSync(join(await treeOf(bench, "old:1"), "hello"), "utf8")).toBe("hello\n");
});

test("a truncated, a damaged and a foreign archive are refused and leave nothing", async () => {
  await using bench = await openBench();
  const damaged = Buffer.from(busybox);
  const at = damaged.indexOf("It works");
  damaged.write("it works", at);
  const compressed = gzipSync(busybox);
  for (const bad of [
    busybox.subarray(0, busybox.length / 2),
    damaged,
    compressed.subarray(0, compressed.length - 2000),
    Buffer.from("no archive at all"),
    gzipSync(Buffer.alloc(2048)),
  ]) {
    await expect(bench.images.load(pieces(bad), quiet, call())).rejects.toMatchObject({ code: "CORRUPT_DATA" });
  }
  expect(bench.images.list()).toEqual([]);
  await bench.images.collect(call());
  for (const part of ["blobs/sha256", "staging", "layers"]) expect(readdirSync(join(bench.directory, "images", part))).toEqual([]);
});

test("import makes an image of one layer with the changes asked for", async () => {
  await using bench = await openBench();
  const tar = execFileSync("tar", ["-C", bench.directory, "-c", "."], { maxBuffer: 1 << 26 });
  const changes = [
    'CMD ["/bin/app", "-v"]',
    "ENV A=1 B='two words'",
    "WORKDIR /srv",
    "USER 1000:1000",
    "EXPOSE 80 53/udp",
    'LABEL k="v w"',
    "VOLUME /data",
    "ENTRYPOINT /start",
  ];
  const view = await bench.images.import(pieces(gzipSync(tar)), { reference: "mine:2", changes }, call());
  expect(view.configuration).toMatchObject({
    command: ["/bin/app", "-v"],
    environment: ["A=1", "B=two words"],
    workingDirectory: "/srv",
    user: "1000:1000",
    exposedPorts: ["80/tcp", "53/udp"],
    labels: { k: "v w" },
    volumes: ["/data"],
    entrypoint: ["/bin/sh", "-c", "/start"],
  });
  await expect(bench.images.import(pieces(tar), { changes: ["RUN rm"] }, call())).rejects.toMatchObject({ code: "INVALID_SPEC" });
  // Cut between two entries, so that only the missing end mark tells.
  const one = Buffer.from(tar.subarray(0, 512));
  await expect(bench.images.import(pieces(one), { changes: [] }, call())).rejects.toMatchObject({
    code: "CORRUPT_DATA",
    message: expect.stringContaining("cut off"),
  });
});

test("removing takes names first, refuses what is used, and frees what nothing else has", async () => {
  await using bench = await openBench();
  const [view] = await bench.images.load(pieces(busybox), quiet, call());
  const id = view?.id as string;
  await bench.images.tag("busybox", "second:1");
  bench.images.hold(id, "workload-1");
  expect(await bench.images.remove("busybox", { force: false, prune: true })).toEqual([{ untagged: "busybox:latest" }]);
  await expect(bench.images.remove("second:1", { force: false, prune: true })).rejects.toMatchObject({ code: "WRONG_STATE" });
  const tree = await treeOf(bench, "second:1");
  bench.images.release("workload-1");
  expect(await bench.images.remove(id, { force: false, prune: true })).toEqual([{ untagged: "second:1" }, { deleted: id }]);
  expect(existsSync(tree)).toBe(false);
  expect(readdirSync(join(bench.directory, "images/blobs/sha256"))).toEqual([]);
  expect(() => bench.images.get("busybox")).toThrow(expect.objectContaining({ code: "NOT_FOUND", message: "No such image: busybox:latest" }));
});

test("leftovers of a crash are gone at the next opening and never believed", async () => {
  await using bench = await openBench();
  const layers = join(bench.directory, "images/layers");
  mkdirSync(join(layers, "a".repeat(64), ".tree.partial/etc"), { recursive: true });
  mkdirSync(join(layers, "b".repeat(64), "tree/etc"), { recursive: true });
  writeFileSync(join(bench.directory, "images/staging/1-1"), "half");
  await bench.reopen();
  expect(readdirSync(layers)).toEqual([]);
  expect(readdirSync(join(bench.directory, "images/staging"))).toEqual([]);
});

test("a load that is called off rejects CANCELLED and leaves nothing", async () => {
  await using bench = await openBench();
  const abort = new AbortController();
  const progress = () => abort.abort();
  await expect(bench.images.load(pieces(busybox), { progress }, plainCall(abort.signal))).rejects.toMatchObject({ code: "CANCELLED" });
  expect(bench.images.list()).toEqual([]);
  await bench.images.collect(call());
  for (const part of ["blobs/sha256", "staging"]) expect(readdirSync(join(bench.directory, "images", part))).toEqual([]);
});

test("an image whose files were taken out of the store is forgotten, and the others stay", async () => {
  await using bench = await openBench();
  const [view] = await bench.images.load(pieces(busybox), quiet, call());
  await bench.images.import(pieces(execFileSync("tar", ["-C", "/etc", "-c", "hostname"])), { reference: "other:1", changes: [] }, call());
  rmSync(join(bench.directory, "images/blobs/sha256", view?.id.slice(7) ?? ""));
  await bench.reopen();
  expect(bench.images.list().map(({ tags }) => tags)).toEqual([["other:1"]]);
});

test("an archive of 20,000 images is refused for its number, at once", async () => {
  await using bench = await openBench();
  const archive = pack();
  archive.entry(
    { name: "manifest.json" },
    JSON.stringify(Array.from({ length: 20_000 }, (_, index) => ({ Config: "c.json", RepoTags: [`many:${index}`], Layers: [] }))),
  );
  archive.entry({ name: "c.json" }, JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } }));
  archive.finalize();
  const refusal = { code: "CORRUPT_DATA", message: expect.stringContaining("manifest.json has 20000 items; 1000 are allowed") };
  await expect(bench.images.load(archive as AsyncIterable<Uint8Array>, quiet, call())).rejects.toMatchObject(refusal);
  expect(bench.images.list()).toEqual([]);
});
