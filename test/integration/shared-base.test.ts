/** What many workloads of one image share: its files, on disk and in the kernel's page cache. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";
import { makeArchive } from "./chaos/archives.ts";

const BIG_BYTES = 16 * 1024 * 1024;
const COUNT = 10;

async function importImage(daemon: TestDaemon): Promise<void> {
  const busybox = readFileSync("/bin/busybox");
  const programs = ["sh", "cat", "cp", "sleep"].map((name) => ({ name: `bin/${name}`, bytes: busybox, mode: 0o755 }));
  const place = mkdtempSync("/tmp/bulkhead-base-");
  const archive = join(place, "base.tar");
  writeFileSync(archive, await makeArchive([...programs, { name: "big", bytes: Buffer.alloc(BIG_BYTES, 7) }]));
  const outcome = await daemon.cli("import", archive, "base");
  rmSync(place, { recursive: true });
  expect(outcome, outcome.stderr).toMatchObject({ code: 0 });
}

/** Of files that a workload was the first to touch, as the kernel accounts them. */
function cachedBytes(daemon: TestDaemon, id: string): number {
  const base =
    [`/sys/fs/cgroup/memory/bulkhead-${daemon.rootId}/${id}/memory.stat`, `/sys/fs/cgroup/bulkhead-${daemon.rootId}/${id}/memory.stat`].find(existsSync) ?? "";
  return Number(/^(?:total_cache|file) (\d+)$/m.exec(readFileSync(base, "utf8"))?.[1]);
}

/** Workloads that do this and then wait. */
async function start(daemon: TestDaemon, count: number, work: string): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let number = 0; number < count; number++) {
    const outcome = await daemon.cli("run", "-d", "--network", "none", "base", "/bin/sh", "-c", `${work}; echo done; exec /bin/sleep 1000`);
    expect(outcome, outcome.stderr).toMatchObject({ code: 0 });
    ids.push(outcome.stdout.trim());
  }
  for (const id of ids) await expect.poll(async () => (await daemon.cli("logs", id)).stdout, { timeout: 20_000 }).toBe("done\n");
  return ids;
}

test("ten containers on one base hold it once, on disk and in the page cache", async () => {
  const daemon = await TestDaemon.open({ image: false });
  try {
    await importImage(daemon);
    const used = (path: string) => Number(execFileSync("du", ["-sx", "--block-size=1", path], { encoding: "utf8" }).split("\t")[0]);
    const images = used(join(daemon.root, "images"));
    const readers = await start(daemon, COUNT, "/bin/cat /big >/dev/null");
    const shared = readers.map((id) => cachedBytes(daemon, id)).reduce((sum, bytes) => sum + bytes, 0);
    expect(shared).toBeLessThan(1.5 * BIG_BYTES);
    expect(used(join(daemon.root, "images")), "nothing was added to the store").toBe(images);
    for (const id of readers) expect(used(join(daemon.root, "workloads", id))).toBeLessThan(1024 * 1024);
    const [writer = ""] = await start(daemon, 1, "/bin/cp /big /copy");
    expect(cachedBytes(daemon, writer), "the control: a copy of its own is counted").toBeGreaterThan(0.9 * BIG_BYTES);
    expect(used(join(daemon.root, "workloads", writer))).toBeGreaterThan(0.9 * BIG_BYTES);
  } finally {
    await daemon.close();
  }
}, 120_000);
