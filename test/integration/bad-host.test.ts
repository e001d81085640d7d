/** What a bad host gets: a full disk, a kernel that does not boot, a monitor that is not there. */

import { execFileSync } from "node:child_process";
import { closeSync, copyFileSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { CHECKOUT, TestDaemon } from "../harness/daemon.ts";
import { makeArchive } from "./chaos/archives.ts";
import { isAlive, readBaseline } from "./chaos/inhabitants.ts";

it("a full disk is said to be full, and what was begun is taken away", async () => {
  const place = mkdtempSync("/tmp/bulkhead-full-");
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=32m", "tmpfs", place]);
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
      const told = { code: "EXHAUSTED", status: 507 };
      await expect(load(daemon, readFileSync(archive))).rejects.toMatchObject({
        ...told,
        message: expect.stringMatching(/^the disk is too full for the archive: /) as unknown,
      });
      rmSync(join(archive, ".."), { recursive: true });
      expect((await daemon.client.images.list()).map(({ RepoTags }) => RepoTags)).toEqual([["busybox:latest"]]);
      await expect.poll(() => before - free(), { timeout: 10_000 }).toBeLessThan(64);
      await expectFullDiskTold(daemon, join(place, "fill"));
      expect((await daemon.cli("run", "--rm", "busybox", "echo", "hi")).stdout).toBe("hi\n");
    } finally {
      await daemon.close();
    }
  } finally {
    execFileSync("umount", [place]);
    rmSync(place, { recursive: true });
  }
});

async function load(daemon: TestDaemon, archive: Buffer): Promise<void> {
  for await (const line of daemon.client.images.load(Readable.from([archive]))) void line;
}

/** Not a byte is left, nor of what the daemon keeps back for its own records: what is asked for is refused as what it is. */
async function expectFullDiskTold(daemon: TestDaemon, fill: string): Promise<void> {
  const { workloads } = daemon.client;
  const told = { code: "EXHAUSTED", status: 507, message: "the disk is full", remedy: expect.stringMatching(/^free space below the root/) as unknown };
  const greedy = () => workloads.create({ Image: "busybox", Labels: { large: "x".repeat(1024 * 1024) } });
  const refused = async () => {
    for (let tries = 0; tries < 20; tries++) {
      fillUp(fill);
      const thrown: unknown = await greedy().then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (thrown !== undefined) return thrown;
    }
    return undefined;
  };
  expect(await refused()).toMatchObject(told);
  fillUp(fill);
  const outcome = await daemon.cli("run", "--rm", "busybox", "echo", "hi");
  expect(outcome).toMatchObject({
    code: 125,
    stderr: "bulkhead: the disk is full\nRemedy: free space below the root (`bulkhead image prune`), then ask again\n",
  });
  rmSync(fill);
  for (const { Id } of await workloads.list({ all: true })) await workloads.remove(Id, { force: true });
}

function fillUp(path: string): void {
  const file = openSync(path, "a");
  try {
    for (;;) writeSync(file, Buffer.alloc(4096, 1));
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: "ENOSPC" });
  } finally {
    closeSync(file);
  }
}

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

it("a launcher that cannot come back makes new workloads unavailable, says which program and why, leaves what runs alone, and is used again once it can", async () => {
  const place = mkdtempSync("/tmp/bulkhead-launcher-");
  const program = join(place, "bulkhead-launcher");
  const putBack = () => {
    rmSync(program, { force: true });
    copyFileSync(join(CHECKOUT, "dist/native/bulkhead-launcher"), program);
  };
  putBack();
  const daemon = await TestDaemon.open({ configuration: { launcher: program } });
  try {
    expect((await daemon.cli("run", "-d", "--name", "runs", "busybox", "sleep", "1000")).code).toBe(0);
    const before = (await daemon.client.workloads.inspect("runs")).State;
    await trialsOver(daemon);
    rmSync(program);
    await endLauncher(daemon);
    await expectNoLauncher(daemon, {
      what: `The launcher that the configuration names cannot be run: ${program}`,
      remedy: "Mend `launcher` in the configuration, or leave it out",
    });
    writeFileSync(program, "#!/bin/sh\necho no capability here >&2\nexit 3\n", { mode: 0o755 });
    await expectNoLauncher(daemon, {
      what: `The launcher ${program} does not answer: it ended with 3 (no capability here)`,
      remedy: expect.stringMatching(/^Read .*; the launcher must run as root/) as unknown as string,
    });
    putBack();
    expect(await daemon.cli("run", "--rm", "busybox", "echo", "back")).toMatchObject({ code: 0, stdout: "back\n" });
    expect((await daemon.client.workloads.inspect("runs")).State).toEqual(before);
    expect((await daemon.cli("exec", "runs", "echo", "still here")).stdout).toBe("still here\n");
    for (const { Id } of await daemon.client.workloads.list({ all: true })) await daemon.client.workloads.remove(Id, { force: true });
    await expect.poll(() => daemon.findStrays(), { timeout: 20_000 }).toEqual([]);
  } finally {
    // However the test ended: without a launcher nothing can be cleared away.
    putBack();
    await daemon.close();
    rmSync(place, { recursive: true });
  }
});

/** What a probe tries would be left behind by the launcher's death, as long as there is no other. */
async function trialsOver(daemon: TestDaemon): Promise<void> {
  await daemon.client.system.probes();
  await expect.poll(() => daemon.findStrays(), { timeout: 60_000 }).toEqual([]);
}

async function endLauncher(daemon: TestDaemon): Promise<void> {
  const pid = daemon.launcherPid();
  process.kill(pid, "SIGKILL");
  await expect.poll(() => isAlive(pid)).toBe(false);
}

/** Whoever asks is told the same, each time anew: to launch, and to say who opens a connection, takes a launcher. */
async function expectNoLauncher(daemon: TestDaemon, told: { readonly what: string; readonly remedy: string }): Promise<void> {
  const { workloads } = daemon.client;
  for (let tries = 0; tries < 2; tries++) {
    const asked = workloads.create({ Image: "busybox", Cmd: ["true"] }).then(({ Id }) => workloads.start(Id));
    await expect(asked).rejects.toMatchObject({ code: "UNAVAILABLE", status: 503, message: told.what, remedy: told.remedy });
    const { code, stderr } = await daemon.cli("run", "--rm", "busybox", "true");
    expect(code, stderr).toBe(125);
    expect(stderr.split("\n")).toEqual([`bulkhead: ${told.what}`, expect.stringMatching(/^Remedy: /), ""]);
  }
}
