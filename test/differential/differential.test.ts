import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";
import { runBehind } from "./behind.ts";
import { CASES } from "./cases.ts";
import { PlainHostRoot } from "./plain-host.ts";

const BOUNDARIES = ["container", "gvisor", "microvm"] as const;

let daemon: TestDaemon;
let host: PlainHostRoot;
const unusable = new Map<string, string>();

beforeAll(async () => {
  daemon = await TestDaemon.open();
  for (const probe of await daemon.client.system.probes()) {
    if (!probe.usable) unusable.set(probe.kind, probe.findings.map((finding) => finding.what).join("; "));
  }
  host = PlainHostRoot.open([await rootArchive(daemon)]);
});

afterAll(async () => {
  host?.close();
  await daemon?.close();
});

test("the table has at least forty cases", () => {
  expect(CASES.length).toBeGreaterThanOrEqual(40);
});

for (const boundary of BOUNDARIES) {
  describe(`behind ${boundary} as on the plain host`, () => {
    for (const one of CASES) {
      test(one.title, async (context) => {
        const why = unusable.get(boundary);
        if (why !== undefined) context.skip(`the probe says: ${why}`);
        const [inside, plain] = [await runBehind(daemon, boundary, "busybox", one), await host.run(one)];
        expect(inside).toEqual(plain);
      });
    }
  });
}

/** The image's one layer, taken out of what the daemon saves. */
async function rootArchive(from: TestDaemon): Promise<string> {
  const work = mkdtempSync(join(tmpdir(), "bulkhead-differential-"));
  afterAll(() => rmSync(work, { recursive: true, force: true }));
  const saved = join(work, "saved.tar");
  const outcome = await from.cli("save", "-o", saved, "busybox");
  if (outcome.code !== 0) throw new Error(`save failed: ${outcome.stderr}`);
  mkdirSync(join(work, "parts"));
  execFileSync("tar", ["-xf", saved, "-C", join(work, "parts")]);
  const manifest = JSON.parse(readFileSync(join(work, "parts/manifest.json"), "utf8")) as { Layers: string[] }[];
  const layer = join(work, "parts", manifest[0]?.Layers[0] ?? "");
  if (!existsSync(layer)) throw new Error("the saved archive has no layer");
  return layer;
}
