/** Root inside is nobody outside: seen from the host, next to controls that keep the host's ids. */

import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CommandOutcome, TestDaemon } from "../harness/daemon.ts";

const root = process.getuid?.() === 0;
if (!root) console.log("user namespaces: skipped, because the launcher needs root");

const FIRST = 0x7000_0000;
const RANGE = 65_536;

describe.skipIf(!root)("a container's ids", () => {
  let daemon: TestDaemon;
  let scratch: string;
  let policy: string;
  /** A file system that maps no owners. */
  let merged: string;

  beforeAll(async () => {
    scratch = mkdtempSync("/tmp/bulkhead-ids-");
    chmodSync(scratch, 0o755);
    policy = join(scratch, "policy.yaml");
    writeFileSync(policy, "schemaVersion: 1\n");
    // Before the daemon, which on a host without shared mounts sees no later ones.
    const [lower, upper, work] = ["lower", "upper", "work"].map((name) => directory(name));
    merged = directory("merged");
    execFileSync("mount", ["-t", "overlay", "overlay", "-o", `lowerdir=${lower},upperdir=${upper},workdir=${work}`, merged]);
    daemon = await TestDaemon.open({ configuration: { policy } });
  });
  afterAll(async () => {
    await daemon.close();
    execFileSync("umount", [merged]);
    rmSync(scratch, { recursive: true, force: true });
  });

  const run = (...words: string[]): Promise<CommandOutcome> => daemon.cli("run", "--rm", "--network", "none", ...words);
  const said = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(...words);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    return stdout.trim();
  };
  const start = async (name: string, ...words: string[]): Promise<void> => {
    expect(await daemon.cli("run", "-d", "--name", name, "--network", "none", ...words, "busybox", "sleep", "1000")).toMatchObject({ code: 0 });
  };
  const look = (name: string) => daemon.client.workloads.inspect(name);
  const uidsOf = (pid: number): number[] => (/^Uid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "").split("\t").map(Number);
  const outsideOf = async (name: string): Promise<number> => uidsOf((await look(name)).State.Pid)[0] ?? -1;
  const remove = (...names: string[]) => daemon.cli("rm", "-f", ...names);
  const directory = (name: string): string => {
    const path = join(scratch, name);
    mkdirSync(path);
    return path;
  };

  it("root is root inside and a high number outside, an exec's too, and the control is root on both sides", async () => {
    await start("own");
    await start("control", "--userns=host");
    const first = await outsideOf("own");
    expect(first).toBeGreaterThanOrEqual(FIRST);
    expect((first - FIRST) % RANGE).toBe(0);
    expect((await daemon.cli("exec", "own", "id", "-u")).stdout.trim()).toBe("0");
    await daemon.cli("exec", "-d", "-u", "1000:1000", "own", "sleep", "31459");
    const inside = () => readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && read(`/proc/${pid}/cmdline`) === ["sleep", "31459", ""].join("\0"));
    await expect.poll(() => inside().map((pid) => uidsOf(Number(pid))[0])).toEqual([first + 1000]);
    expect(await outsideOf("control")).toBe(0);
    expect((await look("own")).Boundary?.traits).toContain("user-namespace");
    expect((await look("control")).Boundary?.traits).toContain("host-ids");
    await remove("own", "control");
  });

  it("two workloads have different ranges, and one that starts again keeps its files as they were", async () => {
    await start("left");
    await start("right");
    const [left, right] = [await outsideOf("left"), await outsideOf("right")];
    expect(Math.abs(left - right)).toBeGreaterThanOrEqual(RANGE);
    await daemon.cli("exec", "left", "sh", "-c", "touch /mine; touch /theirs; chown 1000:1000 /theirs");
    await daemon.cli("restart", "-t", "0", "left");
    expect((await daemon.cli("exec", "left", "stat", "-c", "%u:%g", "/mine", "/theirs")).stdout.trim().split("\n")).toEqual(["0:0", "1000:1000"]);
    await remove("left", "right");
  });

  it.each([
    ["--privileged", ["--privileged"]],
    ["the host's processes", ["--pid=host"]],
    ["the host's ipc", ["--ipc=host"]],
    ["the host's control groups", ["--cgroupns=host"]],
    ["the host's network", ["--network=host"]],
    ["mounts that shall reach the host", ["-v", "/tmp:/shared:rshared"]],
  ])("%s go with the host's ids, and it is said", async (_title, words) => {
    await daemon.cli("run", "-d", "--name", "forced", ...words, "busybox", "sleep", "1000");
    expect(await outsideOf("forced")).toBe(0);
    expect((await look("forced")).Boundary?.traits).toEqual(expect.arrayContaining(["host-ids"]));
    await remove("forced");
  });

  it("what is made in a bind or a volume belongs to who made it, by the number inside", async () => {
    const bound = directory("bound");
    const script =
      "touch /bound/root /volume/root; chmod 777 /bound /volume; su worker -s /bin/sh -c 'touch /bound/worker /volume/worker'; stat -c %u /volume/worker";
    const passwd = join(scratch, "passwd");
    writeFileSync(passwd, "root:x:0:0::/:/bin/sh\nworker:x:1234:1234::/:/bin/sh\n");
    const words = ["-v", `${bound}:/bound`, "-v", "ids:/volume", "-v", `${passwd}:/etc/passwd:ro`];
    expect(await said(...words, "busybox", "sh", "-c", script)).toBe("1234");
    expect([statSync(join(bound, "root")).uid, statSync(join(bound, "worker")).uid]).toEqual([0, 1234]);
    // Another range, the same owners.
    expect(await said("-v", "ids:/volume", "busybox", "stat", "-c", "%u", "/volume/root", "/volume/worker")).toBe("0\n1234");
    await daemon.cli("volume", "rm", "ids");
  });

  it("a bind gives its root's files to root inside, as with host ids; what is not bound stays shut, also for a capability that opens it on the control", async () => {
    const bound = directory("given");
    const secret = join(scratch, "secret");
    writeFileSync(join(bound, "file"), "before", { mode: 0o600 });
    writeFileSync(secret, "a secret", { mode: 0o600 });
    await said("-v", `${bound}:/bound`, "busybox", "sh", "-c", "printf after >/bound/file");
    expect(readFileSync(join(bound, "file"), "utf8")).toBe("after");
    // A view of the kernel has no owners to be mapped: root's files there are not root's inside.
    const tries = ": >>/host/sys/kernel/core_pattern && echo opened";
    const views = ["-v", "/proc:/host", "busybox", "sh", "-c", tries];
    expect(await run(...views)).toMatchObject({ stdout: "", stderr: expect.stringContaining("Permission denied") as unknown });
    expect(await said("--userns=host", ...views)).toBe("opened");
  });

  it("a set-uid file of root's in its own root is out of reach for the host's users, and on a bind it is what it is with host ids", async () => {
    const bound = directory("set-uid");
    await start("leaver", "-v", `${bound}:/bound`);
    await daemon.cli("exec", "leaver", "sh", "-c", "cp /bin/busybox /bound/id && chmod 4755 /bound/id && cp -a /bound/id /id");
    const { Id } = await look("leaver");
    const asNobody = (...words: string[]) => spawnSync(words[0] ?? "", words.slice(1), { uid: 65_534, gid: 65_534, encoding: "utf8" });
    expect(asNobody("test", "-e", join(daemon.root, "workloads", Id, "written/upper/id")).status).not.toBe(0);
    expect(statSync(join(daemon.root, "workloads", Id, "written/upper/id")).mode & 0o4000).toBe(0o4000);
    // The documented rest: whoever binds a directory that the host's users reach trusts the workload with it.
    expect(asNobody("test", "-x", join(bound, "id")).status).toBe(0);
    expect(statSync(join(bound, "id"))).toMatchObject({ uid: 0, mode: 0o104755 });
    await remove("leaver");
  });

  it("a bind whose file system maps no owners is refused with what to do, and nothing is half-made", async () => {
    const before = traces();
    expect(await run("-v", `${merged}:/data`, "busybox", "true")).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/file system \(overlay\) maps no owners[\s\S]*--userns=host/) as unknown,
    });
    await expect.poll(traces).toEqual(before);
    expect(await said("--userns=host", "-v", `${merged}:/data`, "busybox", "echo", "shown")).toBe("shown");
  });

  it("a device is its user's inside, and a user beyond the range is refused by number", async () => {
    expect(await said("--device", "/dev/zero:/dev/given", "busybox", "stat", "-c", "%u %a", "/dev/given")).toBe("0 666");
    expect(await run("--user", "70000", "busybox", "true")).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/70000 is beyond the 65536[\s\S]*--userns=host/) as unknown,
    });
    expect(await said("--userns=host", "--user", "70000", "busybox", "id", "-u")).toBe("70000");
  });

  it("a floor that asks for them refuses whoever keeps the host's, by any spelling, and lets others through", async () => {
    writeFileSync(policy, "schemaVersion: 1\nfloor: [user-namespace]\n");
    try {
      for (const words of [["--userns=host"], ["--privileged"], ["--pid=host"], ["--network=host"], ["-v", "/tmp:/shared:shared"]])
        expect(await daemon.cli("run", "--rm", ...words, "busybox", "true")).toMatchObject({
          code: 125,
          stderr: expect.stringContaining("lacks user-namespace") as unknown,
        });
      expect(await said("--userns=private", "busybox", "id", "-u")).toBe("0");
      expect(await said("busybox", "id", "-u")).toBe("0");
    } finally {
      writeFileSync(policy, "schemaVersion: 1\n");
    }
  });

  /** What of ranges stands on the host: processes in them, and mounts with mapped ids. */
  function traces(): { readonly processes: string[]; readonly mounts: string[] } {
    const processes = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && inRange(pid));
    const mounts = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .filter((line) => line.includes("idmapped") || line.includes("bulkhead-stage"));
    return { processes, mounts };
  }

  function inRange(pid: string): boolean {
    const [uid = 0] = (/^Uid:\s+(\d+)/m.exec(read(`/proc/${pid}/status`)) ?? []).slice(1).map(Number);
    return uid >= FIRST && read(`/proc/${pid}/cgroup`).includes(daemon.rootId);
  }

  function read(path: string): string {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return ""; // gone meanwhile
    }
  }
});
