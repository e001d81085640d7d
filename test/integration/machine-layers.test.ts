/** Images of many layers behind a machine: its one drive shows what the layers say together, and what two images share is stored once. */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { CHECKOUT, TestDaemon } from "../harness/daemon.ts";
import { BUSYBOX, makeBusyboxLayer } from "./host/busybox-root.ts";

const LAYERS = 40;
const usable = process.getuid?.() === 0 && existsSync(BUSYBOX);
if (!usable) console.log("machine layers: skipped, because this is not root or busybox-static is not installed");

/** An archive of a busybox and 39 layers, each with a file of its own, one that all write, and the removal of the one before's. */
function archiveOf(work: string, name: string): string {
  const trees = [makeBusyboxLayer(join(work, name))];
  for (let at = 1; at < LAYERS; at++) {
    const tree = join(work, name, `tree-${at}`);
    mkdirSync(join(tree, "data"), { recursive: true });
    writeFileSync(join(tree, `data/own-${at}`), `${at}\n`);
    writeFileSync(join(tree, "data/common"), at === LAYERS - 1 ? `${name}\n` : `${at}\n`);
    writeFileSync(join(tree, `data/passing-${at}`), "");
    if (at > 1) writeFileSync(join(tree, `data/.wh.passing-${at - 1}`), "");
    trees.push(tree);
  }
  const place = join(work, name, "archive");
  mkdirSync(place);
  const digests = trees.map((tree) => {
    const made = join(place, "making");
    execFileSync("tar", ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "-C", tree, "-cf", made, "."]);
    const digest = createHash("sha256").update(readFileSync(made)).digest("hex");
    renameSync(made, join(place, `${digest}.tar`));
    return digest;
  });
  const config = { architecture: process.arch === "arm64" ? "arm64" : "amd64", os: "linux", config: { Cmd: ["sh"], Env: ["PATH=/bin"] } };
  writeFileSync(join(place, "config.json"), JSON.stringify({ ...config, rootfs: { type: "layers", diff_ids: digests.map((digest) => `sha256:${digest}`) } }));
  const layers = digests.map((digest) => `${digest}.tar`);
  writeFileSync(join(place, "manifest.json"), JSON.stringify([{ Config: "config.json", RepoTags: [`${name}:1`], Layers: layers }]));
  const archive = join(work, `${name}.tar`);
  execFileSync("tar", ["-C", place, "-cf", archive, "."]);
  return archive;
}

test.skipIf(!usable)(
  "an image of forty layers runs in a machine with every file as the layers say, and a second image stores only what is its own",
  async (context) => {
    const work = mkdtempSync("/tmp/bulkhead-layers-");
    const daemon = await TestDaemon.open({ image: false });
    onTestFinished(async () => {
      await daemon.close();
      rmSync(work, { recursive: true, force: true });
    });
    const bulkhead = (...words: string[]) =>
      execFileSync(join(CHECKOUT, "bin/bulkhead"), words, { encoding: "utf8", env: { ...process.env, BULKHEAD_HOST: daemon.host } });
    const { findings } = JSON.parse(bulkhead("doctor", "--json").replace(/^[^{]*/, "")) as {
      findings?: readonly { id: string; level: string; what: string }[];
    };
    const missing = findings?.find(({ id, level }) => level === "missing" && ["qemu-installed", "guest-kernel-there", "machine-boots"].includes(id));
    if (missing !== undefined) context.skip(missing.what);
    for (const name of ["one", "two"]) bulkhead("load", "-i", archiveOf(work, name));
    const look = "cd /data && ls | sort && cat common own-*";
    const seen = (isolation: string, name: string) =>
      bulkhead("run", "--rm", "--network", "none", "--isolation", isolation, `${name}:1`, "sh", "-c", look).trim().split("\n");
    const own = Array.from({ length: LAYERS - 1 }, (_, at) => String(at + 1));
    for (const name of ["one", "two"]) {
      const lines = seen("microvm", name);
      expect(lines).toEqual(seen("container", name));
      expect(lines.filter((line) => line.startsWith("passing-"))).toEqual([`passing-${LAYERS - 1}`]);
      expect(lines.filter((line) => line.startsWith("own-"))).toHaveLength(LAYERS - 1);
      expect(lines).toContain(name);
      expect(lines.filter((line) => /^\d+$/.test(line)).toSorted()).toEqual(own.toSorted());
    }
    // 39 of 40 are the same bytes in both images.
    const layers = join(daemon.root, "images/layers");
    const images = readdirSync(layers).filter((key) => existsSync(join(layers, key, "image.erofs")));
    expect(images).toHaveLength(LAYERS + 1);
  },
);
