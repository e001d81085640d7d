/** Templates as users meet them: through a real daemon, with network and volume, across kills, damage and reset. */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";
import type { HostTraces } from "../harness/host-traces.ts";

let daemon: TestDaemon;
let before: HostTraces;
let lacking: string | undefined;
beforeAll(async () => {
  daemon = await TestDaemon.open({ configuration: { templates: true } });
  const [probe] = await daemon.client.system.probes({ isolation: "microvm" });
  if (probe?.usable !== true) lacking = probe?.findings.find(({ level }) => level === "missing")?.what ?? "machines cannot be used here";
  if (lacking !== undefined) console.log(`templates: ${lacking}`);
  before = daemon.traces();
}, 120_000);
afterAll(() => daemon.close(), 60_000);

const machine = (...words: string[]) => daemon.cli("run", "--rm", "--isolation", "microvm", ...words);
const directories = () => (existsSync(join(daemon.root, "templates/microvm")) ? readdirSync(join(daemon.root, "templates/microvm")) : []);

async function until<T>(ask: () => Promise<T | undefined> | T | undefined, patienceMs = 60_000): Promise<T> {
  for (const end = Date.now() + patienceMs; Date.now() < end; await sleep(20)) {
    const found = await ask();
    if (found !== undefined) return found;
  }
  throw new Error(`it did not become so in time: ${daemon.output}`);
}

/** Bakes those of a size: one cold run, and patience. */
async function templateFor(...options: string[]): Promise<void> {
  const known = (await daemon.client.system.templates()).length;
  expect((await machine(...options, "busybox", "true")).code).toBe(0);
  await until(async () => ((await daemon.client.system.templates()).length > known ? true : undefined));
}

/** How a workload came up, as inspect says. */
async function startOf(...words: string[]): Promise<string | undefined> {
  const { stdout, stderr } = await daemon.cli("run", "-d", "--isolation", "microvm", ...words);
  const id = stdout.trim();
  expect(id, stderr).toMatch(/^[0-9a-f]{64}$/);
  const { Boundary } = await daemon.client.workloads.inspect(id);
  await daemon.client.workloads.remove(id, { force: true });
  return Boundary?.start;
}

describe("templates", () => {
  it("are made after a first cold start; what begins from them says so, and --cold boots", async (context) => {
    if (lacking !== undefined) return context.skip(lacking);
    expect(await startOf("--cold", "busybox", "sleep", "60")).toBe("cold");
    await templateFor();
    expect(await startOf("busybox", "sleep", "60")).toBe("template");
    expect(await startOf("--cold", "busybox", "sleep", "60")).toBe("cold");
    expect(await startOf("--memory", "100m", "busybox", "sleep", "60"), "a machine of another size").toBe("cold");
    expect(await daemon.settledTraces(before)).toEqual(before);
  }, 180_000);

  it("serve different networks, ports, volumes, limits and disks at once", async (context) => {
    if (lacking !== undefined) return context.skip(lacking);
    const shared = mkdtempSync(join(tmpdir(), "bulkhead-shared-"));
    const [served, wrote, small, plain] = await Promise.all([
      machine("-h", "alone", "busybox", "sh", "-c", "hostname; ip -4 -o addr show eth0; ip route; cat /sys/class/net/eth0/address"),
      machine("-v", `${shared}:/shared`, "busybox", "sh", "-c", "echo from inside > /shared/word; cat /shared/word"),
      machine("--storage-opt", "size=20m", "busybox", "sh", "-c", "df -k / | tail -1 | awk '{print $2}'; head -c 30000000 /dev/zero > /fill"),
      machine("busybox", "sh", "-c", "date +%s; cat /proc/sys/kernel/random/boot_id; cat /proc/sys/kernel/random/uuid"),
    ]);
    expect(served.stdout, served.stderr).toMatch(/^alone\n.*inet 172|^alone\n.*inet 10\./);
    expect(served.stdout).toContain("default via");
    expect([wrote.stdout, readFileSync(join(shared, "word"), "utf8")]).toEqual(["from inside\n", "from inside\n"]);
    rmSync(shared, { recursive: true });
    expect(small.code, "the disk's limit is this run's own").not.toBe(0);
    expect(Number(small.stdout)).toBeLessThan(20 * 1024);
    const [date = "", bootId, uuid] = plain.stdout.split("\n");
    expect(Math.abs(Number(date) - Date.now() / 1000), "the clock is stepped").toBeLessThan(60);
    const other = (await machine("busybox", "sh", "-c", "cat /proc/sys/kernel/random/boot_id; cat /proc/sys/kernel/random/uuid")).stdout.split("\n");
    expect(other).not.toContain(bootId);
    expect(other).not.toContain(uuid);
    expect(await daemon.client.system.templates(), "none was discarded: all of these began from one").not.toEqual([]);
    expect(await daemon.settledTraces(before)).toEqual(before);
  }, 180_000);

  it("that cannot be begun from are discarded: the workload starts cold behind the same boundary, and an event says so", async (context) => {
    if (lacking !== undefined) return context.skip(lacking);
    if ((await daemon.client.system.templates()).length === 0) await templateFor();
    for (const name of directories()) {
      const state = join(daemon.root, "templates/microvm", name, "state");
      writeFileSync(state, Buffer.alloc(statSync(state).size, 0x5a));
    }
    const since = String(Math.floor(Date.now() / 1000) - 1);
    expect(await startOf("busybox", "sleep", "60")).toBe("cold");
    const events = (await daemon.cli("events", "--since", since, "--until", String(Math.ceil(Date.now() / 1000)))).stdout;
    expect(events).toContain("template-discarded");
    expect(await daemon.settledTraces(before)).toEqual(before);
  }, 180_000);

  it("killed while they are made leave nothing that is used, and are made again", async (context) => {
    if (lacking !== undefined) return context.skip(lacking);
    await daemon.client.system.removeTemplates();
    await until(() => (directories().length === 0 ? true : undefined));
    expect((await machine("busybox", "true")).code).toBe(0);
    const [half] = await until(() => (directories().length > 0 ? directories() : undefined));
    expect(existsSync(join(daemon.root, "templates/microvm", half ?? "", "template.json"))).toBe(false);
    await daemon.kill();
    await daemon.start();
    expect(await startOf("busybox", "sleep", "60"), "what was cut is not begun from").toBe("cold");
    await until(async () => ((await daemon.client.system.templates()).length > 0 && !directories().includes(half ?? "") ? true : undefined));
    expect(await startOf("busybox", "sleep", "60")).toBe("template");
    expect(await daemon.settledTraces(before)).toEqual(before);
  }, 180_000);

  it("outlive the daemon, and go with a reset", async (context) => {
    if (lacking !== undefined) return context.skip(lacking);
    await daemon.kill();
    await daemon.start();
    expect(await startOf("busybox", "sleep", "60")).toBe("template");
    expect((await daemon.cli("system", "reset", "--force")).code).toBe(0);
    expect(directories()).toEqual([]);
  }, 180_000);
});
