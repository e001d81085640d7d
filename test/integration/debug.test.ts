/** Tools beside a workload whose image has none: what a session sees, what it may not do, and that nothing of it stays. */

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CommandOutcome } from "../harness/daemon.ts";
import { TestDaemon } from "../harness/daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.open();
  await importBare();
});
afterAll(() => daemon.close());

/** An image with one program and one file: no shell, and nothing else to look at it with. */
async function importBare(): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "bulkhead-bare-"));
  mkdirSync(join(scratch, "root"));
  copyFileSync("/bin/busybox", join(scratch, "root/sleep"));
  writeFileSync(join(scratch, "root/greeting"), "from the workload's own files\n");
  execFileSync("tar", ["-C", join(scratch, "root"), "-cf", join(scratch, "bare.tar"), "."]);
  expect(await daemon.cli("import", join(scratch, "bare.tar"), "bare")).toMatchObject({ code: 0 });
  rmSync(scratch, { recursive: true });
}

const start = async (...words: string[]): Promise<void> => {
  expect(await daemon.cli("run", "-d", "--name", "target", ...words, "bare", "/sleep", "1000")).toMatchObject({ code: 0 });
};
const remove = (): Promise<CommandOutcome> => daemon.cli("rm", "-f", "target");
const debug = (...words: string[]): Promise<CommandOutcome> => daemon.cli("debug", ...words);
const spaceOf = (pid: number | "self", kind: string): string => readlinkSync(`/proc/${pid}/ns/${kind}`);
const statusOf = (pid: number, field: string): string => new RegExp(`^${field}:\\s+(.*)$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
const runs = (pid: number): boolean => {
  try {
    return statusOf(pid, "State")[0] !== "Z";
  } catch {
    return false;
  }
};

/** A session of which nobody reads the output, by its exec's id and its process's number on the host. */
async function begin(command: readonly string[]): Promise<{ readonly id: string; readonly pid: number; close(): void }> {
  const id = await daemon.client.execs.debug("target", { Image: "busybox", Cmd: command, AttachStdout: true });
  const attached = await daemon.client.execs.start(id, { terminal: false });
  return { id, pid: (await daemon.client.execs.inspect(id)).Pid ?? -1, close: () => attached.close() };
}

describe("a debug session beside a container", () => {
  it("sees the workload's processes, address and files with another image's programs, and what it writes nobody else sees", async () => {
    try {
      await start();
      expect(await daemon.cli("exec", "target", "sh")).toMatchObject({ code: 127 });
      const seen = await debug("target", "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline; ip -o -4 addr; cat /proc/1/root/greeting; id -u; echo mine >/greeting");
      expect(seen).toMatchObject({ code: 0, stderr: "" });
      expect(seen.stdout).toContain("/sleep 1000");
      const networks = (await daemon.cli("inspect", "--format", "{{json .NetworkSettings.Networks}}", "target")).stdout;
      expect(seen.stdout).toContain(` ${/"IPAddress":\s*"([\d.]+)"/.exec(networks)?.[1]}/`);
      expect(seen.stdout).toContain("from the workload's own files\n0\n");
      expect((await debug("target", "cat", "/proc/1/root/greeting")).stdout).toBe("from the workload's own files\n");
      expect(await debug("target", "cat", "/greeting")).toMatchObject({ code: 1 });
      // Stdio and the directory that is read: nothing of what prepared it.
      expect((await debug("target", "ls", "/proc/self/fd")).stdout).toBe("0\n1\n2\n3\n");
    } finally {
      await remove();
    }
  });

  it("is in the workload's namespaces, ids, limits and filter, and has no power over the host that the workload's root has not", async () => {
    let session: Awaited<ReturnType<typeof begin>> | undefined;
    try {
      await start("--memory", "64m", "--security-opt", "no-new-privileges");
      const target = (await daemon.client.workloads.inspect("target")).State.Pid;
      session = await begin(["sleep", "1000"]);
      const { pid } = session;
      const kinds = ["user", "pid", "net", "ipc", "uts", "cgroup"];
      expect(kinds.map((kind) => spaceOf(pid, kind))).toEqual(kinds.map((kind) => spaceOf(target, kind)));
      expect(spaceOf(pid, "user")).not.toBe(spaceOf("self", "user"));
      expect([spaceOf(target, "mnt"), spaceOf("self", "mnt")]).not.toContain(spaceOf(pid, "mnt"));
      for (const field of ["Uid", "Gid", "Seccomp", "NoNewPrivs"]) expect(statusOf(pid, field), field).toBe(statusOf(target, field));
      const SYS_PTRACE = 1n << 19n;
      expect(BigInt(`0x${statusOf(pid, "CapBnd")}`)).toBe(BigInt(`0x${statusOf(target, "CapBnd")}`) | SYS_PTRACE);
      const memory = (of: number) => /^\d+:(?:memory:|:)(.*)$/m.exec(readFileSync(`/proc/${of}/cgroup`, "utf8"))?.[1] ?? "";
      expect(memory(pid).startsWith(memory(target)) && memory(target) !== "").toBe(true);
      for (const attempt of ["mount -t tmpfs x /tmp", "mknod /d b 254 0", "hostname other", "echo 1 >/proc/sys/vm/drop_caches", "echo c >/proc/sysrq-trigger"])
        expect((await debug("target", "sh", "-c", attempt)).code, attempt).not.toBe(0);
    } finally {
      session?.close();
      await remove();
    }
  });

  it("reaches the files of a workload that runs as another user, and gets no capability where the workload has none", async () => {
    try {
      await start("--user", "1000:1000");
      expect(await debug("target", "cat", "/proc/1/root/greeting")).toMatchObject({ code: 0 });
      await remove();
      await start("--user", "1000:1000", "--cap-drop", "ALL");
      const bare = await debug("target", "sh", "-c", "grep CapBnd /proc/self/status; cat /proc/1/root/greeting");
      expect(bare).toMatchObject({ code: 1, stdout: expect.stringMatching(/^CapBnd:\s+0+\n$/) as unknown });
      expect(await debug("-u", "1000:1000", "target", "cat", "/proc/1/root/greeting")).toMatchObject({ code: 0 });
    } finally {
      await remove();
    }
  });

  it("has Docker's exit codes, and says what is missing and what to do", async () => {
    try {
      await start();
      expect(await debug("target", "sh", "-c", "exit 42")).toMatchObject({ code: 42 });
      expect(await debug("target", "no-such-program")).toMatchObject({ code: 127, stdout: expect.stringContaining("no-such-program") as unknown });
      expect(await debug("target", "/etc")).toMatchObject({ code: 126 });
      const missing = await debug("--pull", "never", "--image", "no-such-image", "target");
      expect(missing).toMatchObject({ code: 125, stderr: expect.stringMatching(/No such image: no-such-image[^]*bulkhead pull no-such-image/) as unknown });
      expect(await daemon.cli("stop", "-t", "0", "target")).toMatchObject({ code: 0 });
      expect(await debug("target", "true")).toMatchObject({ code: 125, stderr: expect.stringMatching(/is not running[^]*Start it first/) as unknown });
    } finally {
      await remove();
    }
  });

  it("takes with it what it has started, is gone with the workload, and leaves nothing", async () => {
    const before = daemon.traces();
    try {
      await start();
      const standing = daemon.traces();
      // One of them is in the workload's own root, one in a session of its own.
      const begin = "n=987; sleep $n & chroot /proc/1/root /sleep $n & setsid sleep $n &";
      const left = `${begin} until [ $(ps | grep -c '[s]leep 987') = 3 ]; do sleep 0.1; done; echo three`;
      expect(await debug("target", "sh", "-c", left)).toMatchObject({ code: 0, stdout: "three\n" });
      expect((await debug("target", "ps")).stdout).not.toContain("sleep 987");
      expect(await daemon.settledTraces(standing)).toEqual(standing);
      const session = debug("target", "sh", "-c", "echo in; exec sleep 986");
      await expect.poll(async () => (await daemon.cli("top", "target")).stdout, { timeout: 20_000 }).toContain("sleep 986");
      expect(await remove()).toMatchObject({ code: 0 });
      expect(await session).toMatchObject({ code: 137, stdout: "in\n" });
    } finally {
      await remove();
    }
    expect(await daemon.settledTraces(before)).toEqual(before);
  });

  it("has a terminal, and ends when whoever sat at it is gone", async () => {
    try {
      await start();
      const request = { Image: "busybox", Cmd: ["sh", "-c", "tty; exec sleep 985"], Tty: true, AttachStdin: true, AttachStdout: true, AttachStderr: true };
      const id = await daemon.client.execs.debug("target", request);
      const attached = await daemon.client.execs.start(id, { terminal: true, terminalSize: { rows: 33, columns: 44 } });
      let text = "";
      for await (const { bytes } of attached.output) {
        text += Buffer.from(bytes).toString();
        if (text.includes("\n")) break;
      }
      expect(text).toMatch(/^\/dev\/pts\/\d+\r\n$/);
      attached.close();
      await expect.poll(async () => (await daemon.client.execs.inspect(id)).Running, { timeout: 20_000 }).toBe(false);
    } finally {
      await remove();
    }
  });

  it("goes on when the daemon is killed and is known to the next one, which keeps its image for it", async () => {
    try {
      await start();
      expect(await daemon.cli("tag", "busybox", "tools")).toMatchObject({ code: 0 });
      const { id, pid } = await begin(["sleep", "1000"]);
      await daemon.kill();
      await daemon.start();
      expect(runs(pid)).toBe(true);
      expect(await daemon.client.execs.inspect(id)).toMatchObject({ Running: true, Pid: pid });
      const image = (await daemon.client.images.list()).find(({ RepoTags }) => RepoTags?.includes("tools:latest"))?.Id ?? "";
      expect((await daemon.cli("rmi", image)).code).not.toBe(0);
      expect(await daemon.client.execs.signal(id, "SIGKILL")).toBe(true);
      await expect.poll(() => runs(pid), { timeout: 20_000 }).toBe(false);
      expect(await debug("target", "true")).toMatchObject({ code: 0 });
    } finally {
      await remove();
    }
  });
});

it("is refused by name, with what to do instead, behind a boundary that lets nothing stand beside a workload", async () => {
  const probes = await daemon.client.system.probes();
  const without = probes.filter(({ usable, facets }) => usable && facets.includes("exec") && !facets.includes("debug"));
  for (const { kind } of without) {
    try {
      expect(await daemon.cli("run", "-d", "--name", "target", "--isolation", kind, "busybox", "sleep", "1000")).toMatchObject({ code: 0 });
      const refused = await debug("target");
      expect(refused).toMatchObject({ code: 125, stderr: expect.stringMatching(new RegExp(`${kind} [^]*beside a workload[^]*bulkhead exec`)) as unknown });
    } finally {
      await remove();
    }
  }
});
