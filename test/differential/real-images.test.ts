/**
 * Real images behind both boundaries beside the plain host. Making them takes debootstrap and two minutes: the long suite makes them, `npm test`
 * uses what lies in the cache and otherwise says that it does not.
 */

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CHECKOUT, run, TestDaemon } from "../harness/daemon.ts";
import { runBehind } from "./behind.ts";
import { PlainHostRoot } from "./plain-host.ts";
import { DEBIAN_CASES, NODE_CASES, PYTHON_CASES, type RealCase, STATX_PROBE } from "./real-cases.ts";

const FULL = process.env.BULKHEAD_FULL === "1";
const IMAGES: readonly { readonly image: string; readonly layers: readonly string[]; readonly cases: readonly RealCase[] }[] = [
  { image: "bulkhead/debian-python:1", layers: ["base.tar"], cases: [...DEBIAN_CASES, ...PYTHON_CASES] },
  { image: "bulkhead/debian-node:1", layers: ["base.tar", "node.tar"], cases: NODE_CASES },
];

const work = mkdtempSync(join(tmpdir(), "bulkhead-real-"));
const roots = new Map<string, PlainHostRoot>();
const unusable = new Map<string, string>();
let daemon: TestDaemon;

const archive = join(work, "images.tar");
const made = await run("sh", [join(CHECKOUT, "scripts/fixtures/debian-images.sh"), archive, ...(FULL ? [] : ["--cached"])]);
const missing = made.code === 0 ? undefined : made.stderr.trim();

beforeAll(async () => {
  if (missing !== undefined) return;
  daemon = await TestDaemon.open({ image: false });
  const loaded = await daemon.cli("load", "-i", archive);
  if (loaded.code !== 0) throw new Error(`load failed: ${loaded.stderr}`);
  for (const probe of await daemon.client.system.probes()) {
    if (!probe.usable) unusable.set(probe.kind, probe.findings.map((finding) => finding.what).join("; "));
  }
  const parts = join(work, "parts");
  mkdirSync(parts);
  execFileSync("tar", ["-xf", archive, "-C", parts]);
  for (const { image, layers } of IMAGES)
    roots.set(
      image,
      PlainHostRoot.open(
        layers.map((layer) => join(parts, layer)),
        { shared: true },
      ),
    );
}, 600_000);

afterAll(async () => {
  for (const root of roots.values()) root.close();
  await daemon?.close();
  rmSync(work, { recursive: true, force: true });
}, 120_000);

/** What keeps coreutils from looking at files; empty where nothing does. Number 332 is statx on this processor alone. */
async function statxFault(boundary: string, image: string): Promise<string> {
  return process.arch === "x64" ? (await runBehind(daemon, boundary, image, STATX_PROBE)).stdout : "";
}

for (const { image, cases } of IMAGES) {
  for (const boundary of FULL ? ["container", "gvisor", "microvm"] : ["container", "microvm"]) {
    describe(`${image} behind ${boundary} as on the plain host`, () => {
      // An emulated machine takes seconds for each: outside the long suite every third.
      const short = cases.filter(({ long }) => long !== true).filter((_, index) => boundary === "container" || index % 3 === 0);
      for (const one of FULL ? cases : short) {
        test(one.title, async (context) => {
          const why = missing ?? unusable.get(boundary);
          if (why !== undefined) context.skip(why);
          if (one.statx === true && (await statxFault(boundary, image)) !== "") context.skip(await statxFault(boundary, image));
          const inside = await runBehind(daemon, boundary, image, one);
          expect(inside).toEqual(await roots.get(image)?.run(one));
        }, 120_000);
      }
    });
  }
}

test("the two images store their common layer once, on disk and for machines", async (context) => {
  if (missing !== undefined) context.skip(missing);
  const images = await daemon.client.images.list();
  const sizes = images.map(({ Size }) => Size).toSorted((a, b) => a - b);
  const onDisk = Number(
    execFileSync("du", ["-sx", "--block-size=1", `--exclude=image.erofs`, join(daemon.root, "images/layers")], { encoding: "utf8" }).split("\t")[0],
  );
  // Blocks are rounded up per file; the base alone is more than the allowance.
  expect(onDisk).toBeLessThan((sizes.at(-1) ?? 0) * 1.3);
});
