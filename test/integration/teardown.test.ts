/** The end of a root: after it, nothing on the host carries the root's identity, whoever was alive before. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CHECKOUT, run, TestDaemon } from "../harness/daemon.ts";

/** Everything on the host that carries the identity: bridges and other interfaces, tables and rules, control groups, processes of the root. */
async function remains(rootId: string, root: string): Promise<string[]> {
  const [ruleset, groups] = await Promise.all([run("nft", ["list", "ruleset"]), run("find", ["/sys/fs/cgroup", "-name", `*${rootId}*`])]);
  const interfaces = readdirSync("/sys/class/net").filter((name) => name.includes(rootId));
  const rules = ruleset.stdout.split("\n").filter((line) => line.includes(rootId));
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && commandOf(name).includes(root));
  return [...interfaces, ...rules, ...groups.stdout.split("\n").filter(Boolean), ...processes];
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

const OF_THE_DAEMON = ["identity.json", "images", "launcher.lock", "log", "probe", "run", "state", "templates", "volumes", "workloads"];

const PUBLISHED = ["run", "-d", "-p", "127.0.0.1:0:80", "busybox", "sleep", "1000"];

test("`system reset --force --stop` leaves nothing on the host", async () => {
  const daemon = await TestDaemon.open();
  try {
    const { rootId, root, pid } = daemon;
    const before = readdirSync(root);
    expect(await daemon.cli(...PUBLISHED)).toMatchObject({ code: 0 });
    expect((await remains(rootId, root)).length, "the control: it all carries the identity").toBeGreaterThan(5);
    expect(await daemon.cli("system", "reset", "--force", "--stop")).toMatchObject({ code: 0 });
    expect(readdirSync("/proc")).not.toContain(String(pid));
    expect(await remains(rootId, root)).toEqual([]);
    expect(
      readdirSync(root).filter((name) => !before.includes(name)),
      "what it made below its root",
    ).toEqual([]);
    expect(readdirSync(root).filter((name) => OF_THE_DAEMON.includes(name))).toEqual([]);
  } finally {
    await daemon.close();
  }
}, 120_000);

test("what is still stored keeps its files when the daemon is torn down", async () => {
  const daemon = await TestDaemon.open();
  try {
    expect(await daemon.cli("volume", "create", "kept")).toMatchObject({ code: 0 });
    await daemon.client.system.stop({ teardown: true });
    await expect.poll(() => readdirSync("/proc").includes(String(daemon.pid)), { timeout: 30_000 }).toBe(false);
    await daemon.start();
    expect((await daemon.client.volumes.list()).map(({ Name }) => Name)).toEqual(["kept"]);
  } finally {
    await daemon.close();
  }
}, 120_000);

test("a root whose daemon was killed is torn down from outside, with its running workload", async () => {
  const daemon = await TestDaemon.open();
  try {
    const { rootId, root } = daemon;
    expect(await daemon.cli(...PUBLISHED)).toMatchObject({ code: 0 });
    await daemon.kill();
    const teardown = () => run(join(CHECKOUT, "dist/native/bulkhead-launcher"), ["--teardown", "--root", root]);
    expect(await teardown()).toMatchObject({ code: 0, stderr: "" });
    expect(await remains(rootId, root)).toEqual([]);
    expect(await teardown(), "a second time").toMatchObject({ code: 0, stderr: "" });
  } finally {
    await daemon.close();
  }
}, 120_000);
