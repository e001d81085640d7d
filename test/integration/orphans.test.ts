/** What is left on the host of roots that are no more: told by doctor, removed on request, and nobody else's. */

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CHECKOUT, run, TestDaemon } from "../harness/daemon.ts";

const LAUNCHER = join(CHECKOUT, "dist/native/bulkhead-launcher");

/** A process that is merely called like a launcher, of a root that holds a pipe in its identity's place; gives what ends it. */
function impersonate(root: string): Impostor {
  mkdirSync(root);
  execFileSync("mkfifo", [join(root, "identity.json")]);
  const impostor = spawn("/bin/sh", ["-c", "read never; :", "--root", root], { argv0: "/opt/bulkhead-launcher", stdio: ["pipe", "ignore", "ignore"] });
  return Object.assign(() => void impostor.kill("SIGKILL"), { hasEnded: () => impostor.exitCode !== null || impostor.signalCode !== null });
}

interface Impostor {
  (): void;
  readonly hasEnded: () => boolean;
}

const bridges = (rootId: string) => readdirSync("/sys/class/net").filter((name) => name.startsWith(`bh${rootId}`));
const tables = async () => (await run("nft", ["list", "tables"])).stdout;

test("a root whose daemon was killed is an orphan once its directory is gone, and not before", async () => {
  await using cleared = new AsyncDisposableStack();
  const [dead, living] = [await TestDaemon.open(), await TestDaemon.open()];
  cleared.defer(async () => {
    await Promise.all([dead.close(), living.close()]);
  });
  for (const daemon of [dead, living]) expect(await daemon.cli("run", "--rm", "busybox", "true")).toMatchObject({ code: 0 });
  const [{ rootId, root }, other] = [dead, living.rootId];
  const launcher = dead.launcherPid();
  expect(readFileSync(`/sys/class/net/${bridges(rootId)[0]}/ifalias`, "utf8").trim()).toBe(root);
  await dead.kill();
  process.kill(launcher, "SIGKILL");
  // Called like a launcher, of a root whose identity nobody ever gets to read: asked, it would keep all orphans, and whoever asks waiting.
  cleared.defer(impersonate(join(living.root, "impostor")));
  const told = async () => (await run(LAUNCHER, ["--orphans"])).stdout;
  await expect.poll(async () => (await living.cli("doctor", "--json")).code).toBe(0);
  expect(await told(), "its directory stands: it may come back").not.toContain(rootId);
  renameSync(root, `${root}-gone`);
  cleared.defer(() => renameSync(`${root}-gone`, root));
  expect(await told()).toContain(`${rootId}: bh${rootId}0`);
  expect(await told()).not.toContain(other);
  expect((await living.cli("doctor")).stdout).toMatch(new RegExp(`roots that are no more.*${rootId}`));
  expect(await run(LAUNCHER, ["--orphans", "--teardown"])).toMatchObject({ code: 0, stdout: expect.stringContaining(rootId) });
  expect([bridges(rootId), await tables()]).toEqual([[], expect.not.stringContaining(rootId)]);
  expect((await run("find", ["/sys/fs/cgroup", "-maxdepth", "2", "-name", `*${rootId}`])).stdout).toBe("");
  expect(bridges(other), "a living root keeps what it has").toHaveLength(1);
  expect(await living.cli("run", "--rm", "busybox", "true")).toMatchObject({ code: 0 });
}, 120_000);

test("a process that is merely called like the launcher of a root outlives the root's teardown", async () => {
  const place = mkdtempSync(join(tmpdir(), "bulkhead-impostor-"));
  const root = join(place, "root");
  const end = impersonate(root);
  try {
    rmSync(join(root, "identity.json"));
    expect(await run(LAUNCHER, ["--teardown", "--root", root])).toMatchObject({ code: 0, stderr: "" });
    expect(end.hasEnded()).toBe(false);
  } finally {
    end();
    rmSync(place, { recursive: true, force: true });
  }
}, 60_000);
