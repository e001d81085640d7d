/** What a bad host gets: a full disk, a monitor that is not there. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";
import { makeArchive } from "./chaos/archives.ts";
import { readBaseline } from "./chaos/inhabitants.ts";

it("a full disk is said to be full, and what was begun is taken away", async () => {
  const place = mkdtempSync("/tmp/bulkhead-full-");
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", place]);
  try {
    const daemon = await TestDaemon.open({ below: place });
    try {
      const free = () => Number(execFileSync("stat", ["-f", "-c", "%f", place], { encoding: "utf8" }));
      const before = free();
      const archive = join(mkdtempSync("/tmp/bulkhead-archive-"), "big.tar");
      writeFileSync(archive, await makeArchive([{ name: "big", bytes: Buffer.alloc(40 * 1024 * 1024, 7) }]));
      const outcome = await daemon.cli("import", archive, "big");
      rmSync(join(archive, ".."), { recursive: true });
      expect(outcome.code, outcome.stderr).toBe(1);
      expect(outcome.stderr).toMatch(/no space|full/i);
      expect(outcome.stderr).toMatch(/^Remedy: \S/m);
      expect((await daemon.client.images.list()).map(({ RepoTags }) => RepoTags)).toEqual([["busybox:latest"]]);
      await expect.poll(() => before - free(), { timeout: 10_000 }).toBeLessThan(64);
      expect((await daemon.cli("run", "--rm", "busybox", "echo", "hi")).stdout).toBe("hi\n");
    } finally {
      await daemon.close();
    }
  } finally {
    execFileSync("umount", [place]);
    rmSync(place, { recursive: true });
  }
});

it("a monitor that is not there makes machines unavailable, with the finding and its remedy, and containers go on", async () => {
  const daemon = await TestDaemon.open({ configuration: { machine: { qemu: "/no/such/qemu" } } });
  try {
    const outcome = await daemon.cli("run", "--rm", "--isolation", "microvm", "busybox", "true");
    expect(outcome.code, outcome.stderr).toBe(125);
    expect(outcome.stderr).toMatch(/^Remedy: \S/m);
    await expect(daemon.client.workloads.create({ Image: "busybox", HostConfig: { Isolation: "microvm" } })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      status: 503,
    });
    expect((await daemon.cli("run", "--rm", "busybox", "echo", "hi")).stdout).toBe("hi\n");
    expect(await daemon.client.workloads.list({ all: true })).toEqual([]);
    await readBaseline(daemon);
  } finally {
    await daemon.close();
  }
}, 200_000);
