/** What was asked of network, names and limits is so, seen from inside, from outside, and from the host: the same for a container and a machine. */

import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { CHECKOUT, TestDaemon } from "../harness/daemon.ts";
import { findUnusable } from "./chaos/inhabitants.ts";

const BOUNDARIES = ["container", "microvm"] as const;
const MIB = 1024 * 1024;

let daemon: TestDaemon;
let place: string;
let unusable: ReadonlyMap<string, string>;
/** One workload of each boundary stands for all tests: `asked-container`, `asked-microvm`. */
beforeAll(async () => {
  place = mkdtempSync("/tmp/bulkhead-asked-");
  execFileSync("gcc", ["-static", "-Os", "-o", join(place, "udp-echo"), join(CHECKOUT, "test/fixtures/udp-echo.c")]);
  daemon = await TestDaemon.open();
  unusable = await findUnusable(daemon);
  for (const isolation of BOUNDARIES.filter((kind) => !unusable.has(kind))) {
    const names = ["--hostname", "web", "--dns", "192.0.2.53", "--dns-search", "example.org", "--dns-option", "ndots:2", "--add-host", "db:192.0.2.9"];
    const limits = ["--cpus", "1", "--cpuset-cpus", "0", "--memory", "64m", "--memory-swap", "96m"];
    const published = ["-p", "127.0.0.1:0:7/udp", "-v", `${place}:/fixture:ro`];
    const serve = `mkdir -p /srv; echo ${isolation} > /srv/word; httpd -h /srv; exec /fixture/udp-echo 7`;
    const words = ["--isolation", isolation, "--name", `asked-${isolation}`, ...names, ...limits, ...published];
    const made = await daemon.cli("run", "-d", ...words, "busybox", "sh", "-c", serve);
    expect(made, made.stderr).toMatchObject({ code: 0 });
  }
});
afterAll(async () => {
  await daemon.close();
  rmSync(place, { recursive: true });
});

function need(context: TestContext, ...kinds: readonly string[]): void {
  for (const kind of kinds) if (unusable.has(kind)) context.skip(unusable.get(kind));
}

async function inside(isolation: string, ...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.cli("exec", `asked-${isolation}`, ...command);
  expect(code, stderr).toBe(0);
  return stdout;
}

interface Placed {
  readonly Id: string;
  readonly NetworkSettings: { readonly IPAddress: string; readonly Ports: Readonly<Record<string, readonly { readonly HostPort: string }[]>> };
}

const inspect = async (isolation: string) => (await daemon.client.workloads.inspect(`asked-${isolation}`)) as unknown as Placed;

/** A file of the workload's control group on the host: by controller where the host has the first version, by the second's name else. */
async function group(isolation: string, controller: string, first: string, second = first): Promise<string> {
  const unified = existsSync("/sys/fs/cgroup/cgroup.controllers");
  const base = unified ? "/sys/fs/cgroup" : join("/sys/fs/cgroup", controller);
  return readFileSync(join(base, `bulkhead-${daemon.rootId}`, (await inspect(isolation)).Id, unified ? second : first), "utf8").trim();
}

async function askByUdp(port: number, text: string): Promise<string> {
  const socket = createSocket("udp4");
  const answered = once(socket, "message");
  // Whoever listens may not listen yet, and nobody repeats a datagram but who sent it.
  const asking = setInterval(() => socket.send(text, port, "127.0.0.1"), 100);
  try {
    const [answer] = (await answered) as [Buffer];
    return answer.toString();
  } finally {
    clearInterval(asking);
    socket.close();
  }
}

describe.each(BOUNDARIES)("on a bridge behind %s", (isolation) => {
  it("a published port answers datagrams", async (context) => {
    need(context, isolation);
    const { NetworkSettings } = await inspect(isolation);
    expect(await askByUdp(Number(NetworkSettings.Ports["7/udp"]?.[0]?.HostPort), "a word")).toBe("heard a word");
  });

  it("name, hosts and name servers are those that were asked for", async (context) => {
    need(context, isolation);
    expect(await inside(isolation, "hostname")).toBe("web\n");
    expect((await inside(isolation, "cat", "/etc/resolv.conf")).split("\n").filter((line) => /^[a-z]/.test(line))).toEqual([
      "nameserver 192.0.2.53",
      "search example.org",
      "options ndots:2",
    ]);
    const hosts = (await inside(isolation, "cat", "/etc/hosts")).split("\n").map((line) => line.split(/\s+/).join(" "));
    expect(hosts).toContain("127.0.0.1 localhost");
    expect(hosts).toContain("192.0.2.9 db");
    expect(hosts).toContain(`${(await inspect(isolation)).NetworkSettings.IPAddress} web`);
  });

  it("its own address and its neighbour's, behind whatever boundary, answer it", async (context) => {
    need(context, ...BOUNDARIES);
    for (const other of BOUNDARIES) {
      const { IPAddress } = (await inspect(other)).NetworkSettings;
      const asked = `printf 'GET /word HTTP/1.0\\r\\n\\r\\n' | nc -w 20 ${IPAddress} 80`;
      expect((await inside(isolation, "sh", "-c", asked)).split("\r\n").at(-1)).toBe(`${other}\n`);
    }
  });
});

describe.each(BOUNDARIES)("limits behind %s", (isolation) => {
  it("processors: it runs on those that it was given, and none of more is given than there are", async (context) => {
    need(context, isolation);
    expect(await group(isolation, "cpuset", "cpuset.cpus")).toBe("0");
    const processes = (await group(isolation, "cpuset", "cgroup.procs")).split("\n");
    expect(processes.length).toBeGreaterThan(0);
    for (const pid of processes) expect(readFileSync(`/proc/${pid}/status`, "utf8")).toMatch(/^Cpus_allowed_list:\t0$/m);
    const more = await daemon.cli("run", "--rm", "--isolation", isolation, "--cpuset-cpus", `0-${cpus().length}`, "busybox", "true");
    expect(more, more.stderr).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/^bulkhead: Requested CPUs are not available - requested 0-\d+, /) as unknown,
    });
    if (isolation !== "container") return;
    expect(await inside(isolation, "grep", "Cpus_allowed_list", "/proc/self/status")).toBe("Cpus_allowed_list:\t0\n");
    const taken = await daemon.cli("exec", `asked-${isolation}`, "taskset", "2", "true");
    expect(taken, taken.stderr).toMatchObject({ code: 1, stderr: expect.stringContaining("Invalid argument") as unknown });
  });

  it("processor time: who wants more than its share is held back, beside a control without limit that never is", async (context) => {
    need(context, isolation);
    expect(await group(isolation, "cpu", "cpu.cfs_quota_us", "cpu.max")).toMatch(/^100000\b/);
    // As little as a busy neighbour on the host cannot keep it from.
    expect((await daemon.cli("update", "--cpus", "0.05", `asked-${isolation}`)).code).toBe(0);
    expect(await group(isolation, "cpu", "cpu.cfs_quota_us", "cpu.max")).toMatch(/^5000\b/);
    const throttledOf = async (name: string) => Number(/^nr_throttled (\d+)$/m.exec(await group(name, "cpu", "cpu.stat"))?.[1]);
    const throttled = () => throttledOf(isolation);
    const before = await throttled();
    expect((await daemon.cli("exec", "-d", `asked-${isolation}`, "timeout", "60", "sh", "-c", "while :; do :; done")).code).toBe(0);
    await expect.poll(throttled, { timeout: 60_000 }).toBeGreaterThan(before + 2);
    if (isolation === "container") {
      expect((await daemon.cli("run", "-d", "--name", "asked-control", "busybox", "sleep", "1000")).code).toBe(0);
      await inside("control", "sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
      expect(await throttledOf("control")).toBe(0);
      expect((await daemon.cli("rm", "-f", "asked-control")).code).toBe(0);
    }
    expect((await daemon.cli("update", "--cpus", "1", `asked-${isolation}`)).code).toBe(0);
    await inside(isolation, "killall", "sh");
  });

  it("memory and swap: both limits are there at once, raised and lowered in whichever order the kernel takes", async (context) => {
    need(context, isolation);
    if (isolation === "microvm") {
      // Its memory is limited by the kernel of its own; a machine has no swap.
      expect(await inside(isolation, "cat", "/sys/fs/cgroup/memory.max")).toBe(`${64 * MIB}\n`);
      return;
    }
    const sums = ["memory.memsw.limit_in_bytes", "memory.swap.max"] as const;
    const limits = async () => [
      Number(await group(isolation, "memory", "memory.limit_in_bytes", "memory.max")),
      Number(await group(isolation, "memory", ...sums)),
    ];
    const swapIn = (memory: number, sum: number) => (existsSync("/sys/fs/cgroup/cgroup.controllers") ? sum - memory : sum);
    expect(await limits()).toEqual([64 * MIB, swapIn(64 * MIB, 96 * MIB)]);
    for (const [memory, sum] of [
      [128, 160],
      [32, 48],
      [48, 48],
    ] as const) {
      expect(await daemon.cli("update", "--memory", `${memory}m`, "--memory-swap", `${sum}m`, `asked-${isolation}`)).toMatchObject({ code: 0 });
      expect(await limits()).toEqual([memory * MIB, swapIn(memory * MIB, sum * MIB)]);
    }
  });
});
