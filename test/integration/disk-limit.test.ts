/** What a workload writes has a size where one was asked for: exceeded from inside, observed from outside, on a host whose filesystems know no quota. */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";
import { findLoops } from "../harness/host-traces.ts";
import { findUnusable } from "./chaos/inhabitants.ts";

const MIB = 1024 * 1024;
const SIZE = 24 * MIB;
const KINDS: readonly [string, string, readonly string[]][] = [
  ["a container", "container", []],
  ["a container with the host's ids", "container", ["--userns", "host"]],
  ["gvisor", "gvisor", []],
];

let daemon: TestDaemon;
let unusable: ReadonlyMap<string, string>;
beforeAll(async () => {
  daemon = await TestDaemon.open();
  unusable = await findUnusable(daemon);
});
afterAll(() => daemon.close());

const need = (context: TestContext, kind: string) => {
  if (!existsSync("/dev/loop-control")) context.skip("this host has no loop devices");
  if (unusable.has(kind)) context.skip(unusable.get(kind));
};
const loops = () => findLoops(daemon.root);
const directoryOf = async (name: string) => join(daemon.root, "workloads", ((await daemon.client.workloads.inspect(name)) as { Id: string }).Id);
const used = (directory: string) => Number(execFileSync("du", ["-s", "--block-size=1", directory], { encoding: "utf8" }).split("\t")[0]);
const run = (...words: string[]) => daemon.cli("run", ...words);

describe.each(KINDS)("%s with --storage-opt size=24m", (title, isolation, flags) => {
  const name = title.replaceAll(/[^a-z]/g, "");
  const begin = (...words: string[]) => run("-d", "--isolation", isolation, ...flags, "--name", name, ...words);

  it("is full at that size, keeps what it wrote when it starts again, and leaves nothing", async (context) => {
    need(context, isolation);
    const began = await begin("--storage-opt", "size=24m", "busybox", "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done");
    expect(began, began.stderr).toMatchObject({ code: 0 });
    const inside = (...words: string[]) => daemon.cli("exec", name, "sh", "-c", ...words);
    const filled = await inside("echo kept > /kept; sync; dd if=/dev/zero of=/fill bs=1M count=60");
    expect(filled.stderr).toMatch(/No space left/);
    expect(Number((await inside("stat -c %s /fill")).stdout)).toBeLessThan(SIZE);
    expect(loops()).toHaveLength(1);
    const directory = await directoryOf(name);
    expect(used(directory)).toBeLessThan(SIZE + MIB);
    expect(used(directory)).toBeGreaterThan(SIZE / 2);
    expect(statSync(join(directory, "disk"))).toMatchObject({ uid: 0, gid: 0, mode: 0o100600, size: SIZE });
    expect(await daemon.cli("restart", "-t", "5", name)).toMatchObject({ code: 0 });
    expect(await inside("cat /kept; rm /fill; echo more > /more && cat /more")).toMatchObject({ stdout: "kept\nmore\n" });
    expect(await daemon.cli("stop", "-t", "5", name)).toMatchObject({ code: 0 });
    await expect.poll(loops).toHaveLength(0);
    // What has no files facet refuses it by name.
    if (isolation !== "gvisor") expect(await daemon.cli("cp", `${name}:/kept`, "-")).toMatchObject({ code: 0, stdout: expect.stringContaining("kept") });
    await daemon.cli("rm", "-f", name);
    await expect.poll(loops).toHaveLength(0);
    expect(existsSync(directory)).toBe(false);
  });

  it("has room for so many files only, where one without a limit goes on (the control)", async (context) => {
    need(context, isolation);
    const script = "i=0; while [ $i -lt 9000 ]; do true > /f$i || { echo full at $i; exit 0; }; i=$((i+1)); done; echo never";
    const limited = await run("--rm", "--isolation", isolation, ...flags, "--storage-opt", "size=24m", "busybox", "sh", "-c", script);
    expect(limited.stdout).toMatch(/full at \d+/);
    const free = await run("--rm", "--isolation", isolation, ...flags, "busybox", "sh", "-c", "head -c 40000000 /dev/zero > /fill; stat -c %s /fill");
    expect(free, free.stderr).toMatchObject({ stdout: "40000000\n" });
  });
});

it("a size below what a filesystem needs is refused at once, and nothing is made", async () => {
  const refused = await run("--name", "small", "--storage-opt", "size=64k", "busybox", "true");
  expect(refused).toMatchObject({ code: 125, stderr: expect.stringContaining("cannot be smaller than 4194304 bytes") });
  expect((await daemon.cli("ps", "-a", "--format", "{{.Names}}")).stdout).not.toContain("small");
});

it("a supervisor that is killed lets go of the disk, and the next start waits for that and goes on with it", async (context) => {
  need(context, "container");
  const began = await run("-d", "--name", "cut", "--storage-opt", "size=80m", "busybox", "sh", "-c", "echo $(cat /n 2>/dev/null)x > /n; sync; sleep 1000");
  expect(began, began.stderr).toMatchObject({ code: 0 });
  await expect.poll(async () => (await daemon.cli("exec", "cut", "cat", "/n")).stdout).toBe("x\n");
  const { Id } = (await daemon.client.workloads.inspect("cut")) as { Id: string };
  const { pid } = JSON.parse(readFileSync(join(daemon.root, `run/supervisors/${Id}.json`), "utf8")) as { pid: number };
  process.kill(pid, "SIGKILL");
  await expect.poll(async () => (await daemon.cli("start", "cut")).code).toBe(0);
  expect(loops()).toHaveLength(1);
  await expect.poll(async () => (await daemon.cli("exec", "cut", "cat", "/n")).stdout).toBe("xx\n");
  await daemon.cli("rm", "-f", "cut");
  await expect.poll(loops).toHaveLength(0);
});
