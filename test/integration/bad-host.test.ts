/** What a bad host gets: a full disk, a kernel that does not boot, a monitor that is not there. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
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
      // As it is, it cannot even be taken in; compressed it is small, and a bomb when it is unpacked.
      const bomb = join(archive, "../bomb.tar.gz");
      writeFileSync(bomb, gzipSync(readFileSync(archive)));
      for (const file of [archive, bomb]) {
        const outcome = await daemon.cli("import", file, "big");
        expect(outcome.code, outcome.stderr).toBe(1);
        expect(outcome.stderr).toMatch(/disk is too full for the (image|layer): .*kept in reserve/);
        expect(outcome.stderr).toMatch(/^Remedy: free space/m);
      }
      rmSync(join(archive, ".."), { recursive: true });
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

/** Machines are refused, containers go on, and nothing stands of what was asked for; resolves with what was told. */
async function expectNoMachines(daemon: TestDaemon): Promise<string> {
  const { code, stderr } = await daemon.cli("run", "--rm", "--isolation", "microvm", "busybox", "true");
  expect(code, stderr).toBe(125);
  await expect(daemon.client.workloads.create({ Image: "busybox", HostConfig: { Isolation: "microvm" } })).rejects.toMatchObject({
    code: "UNAVAILABLE",
    status: 503,
  });
  expect((await daemon.cli("run", "--rm", "busybox", "echo", "hi")).stdout).toBe("hi\n");
  expect(await daemon.client.workloads.list({ all: true })).toEqual([]);
  await readBaseline(daemon);
  return stderr;
}

it("a kernel that does not boot makes machines unavailable, says why and where to mend it, and containers go on", async () => {
  const place = mkdtempSync("/tmp/bulkhead-kernel-");
  const [kernel, initrd] = [join(place, "vmlinux"), join(place, "initrd")];
  for (const file of [kernel, initrd]) writeFileSync(file, Buffer.alloc(100_000, "this boots nothing "));
  const daemon = await TestDaemon.open({ configuration: { machine: { kernel, initrd } } });
  try {
    const told = await expectNoMachines(daemon);
    expect(told).toMatch(/does not boot here: .*monitor/);
    expect(told).toMatch(/^Remedy: Mend machine\.kernel and machine\.initrd/m);
  } finally {
    await daemon.close();
    rmSync(place, { recursive: true });
  }
}, 200_000);

it("a monitor that is not there makes machines unavailable, with the finding and its remedy, and containers go on", async () => {
  const daemon = await TestDaemon.open({ configuration: { machine: { qemu: "/no/such/qemu" } } });
  try {
    expect(await expectNoMachines(daemon)).toMatch(/^Remedy: \S/m);
  } finally {
    await daemon.close();
  }
}, 200_000);
