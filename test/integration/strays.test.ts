/** What is looked at after each test finds what was left, of every kind. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.open();
});
afterAll(() => daemon.close());

const root = (...words: string[]) => execFileSync(words[0] ?? "", words.slice(1));

it("a file, a mount, a control group, an interface, a held namespace, a published port and a process that belong to no workload are strays, and those of one are not", async () => {
  expect((await daemon.cli("run", "-d", "--name", "lives", "-p", "0:80", "busybox", "sleep", "1000")).code).toBe(0);
  expect(await daemon.findStrays()).toEqual([]);
  expect((await daemon.cli("rm", "-f", "lives")).code).toBe(0);

  const id = "f00d".repeat(16);
  const directory = join(daemon.root, "workloads", id);
  const base = existsSync("/sys/fs/cgroup/cgroup.controllers") ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids";
  const group = join(base, `bulkhead-${daemon.rootId}`, id);
  const link = `bv${daemon.rootId}stray00`.slice(0, 15);
  mkdirSync(directory);
  root("mount", "-t", "tmpfs", "tmpfs", directory);
  mkdirSync(group, { recursive: true });
  root("ip", "link", "add", link, "type", "veth", "peer", "name", `${link.slice(0, 12)}two`);
  const port = ["element", "ip", `bulkhead-${daemon.rootId}`, "ports-at", "{ 127.0.0.1 . tcp . 9 : 172.31.255.9 . 80 }"];
  root("nft", "add", ...port);
  // Namespaces are held by the launcher's descriptors: for a moment another program stands in its place, which holds its own.
  const lock = join(daemon.root, "launcher.lock");
  const launcher = readFileSync(lock, "utf8");
  const holder = execFileSync("unshare", ["-n", "sh", "-c", "sleep 1000 9</proc/self/ns/net >/dev/null 2>&1 & echo $!"], { encoding: "utf8" }).trim();
  const namespace = readlinkSync(`/proc/${holder}/ns/net`);
  writeFileSync(lock, holder);
  const sleeper = execFileSync("sh", ["-c", `cd ${directory} && sleep 1000 >/dev/null 2>&1 & echo $!`], { encoding: "utf8" }).trim();
  try {
    const strays = (await daemon.findStrays(1)).join("\n");
    for (const trace of [group, ` ${directory} `, link, `sleep ${sleeper} of nobody`, id, "127.0.0.1 . tcp . 9 : 172.31.255.9 . 80", namespace])
      expect(strays).toContain(trace);
  } finally {
    writeFileSync(lock, launcher);
    for (const pid of [sleeper, holder]) process.kill(Number(pid), "SIGKILL");
    root("nft", "delete", ...port);
    root("ip", "link", "del", link);
    rmdirSync(group);
    root("umount", "-l", directory);
    rmdirSync(directory);
  }
  expect(await daemon.findStrays()).toEqual([]);
});
