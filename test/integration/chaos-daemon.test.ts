/** SIGKILL to the daemon while workloads live behind both boundaries: nothing of them dies, is lost, told wrongly, or left over. */

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";
import type { HostTraces } from "../harness/host-traces.ts";
import { COUNTING_AND_SERVING, findUnusable, Inhabitants, readBaseline } from "./chaos/inhabitants.ts";

let daemon: TestDaemon;
let before: HostTraces;
let unusable: ReadonlyMap<string, string>;
beforeAll(async () => {
  daemon = await TestDaemon.open();
  unusable = await findUnusable(daemon);
  before = await readBaseline(daemon);
});
afterAll(() => daemon.close());

const PUBLISHED = { ExposedPorts: { "80/tcp": {} } };
const ANY_PORT = { NetworkMode: "bridge", PortBindings: { "80/tcp": [{ HostPort: "0" }] } };

describe.each(["container", "microvm"])("the daemon killed with %s workloads", (isolation) => {
  let home: Inhabitants;
  beforeAll(() => {
    home = new Inhabitants(daemon, isolation);
  });
  afterEach(async () => {
    await home.clear();
    expect(await daemon.settledTraces(before), "nothing is left over").toEqual(before);
  });

  it("adopts what runs: its log whole, its exec, attach, port, signals and exit as before", async (context) => {
    if (unusable.has(isolation)) return context.skip(unusable.get(isolation));
    await home.run("steady", COUNTING_AND_SERVING, ANY_PORT, PUBLISHED);
    const port = await home.hostPort("steady");
    expect(await home.answer(port)).toBe("served");
    const { Pid, StartedAt } = await home.state("steady");
    for (let kills = 0; kills < 3; kills++) {
      await daemon.kill();
      await sleep(150);
      await daemon.start();
    }
    expect(await home.state("steady")).toMatchObject({ Running: true, Pid, StartedAt });
    expect(await home.exec("steady", ["sh", "-c", "echo inside; exit 5"])).toEqual({ code: 5, output: "inside\n" });
    expect(await home.hear("steady")).toMatch(/^line \d+\n/);
    expect(await home.answer(port)).toBe("served");
    const ended = home.wait("steady");
    await daemon.client.workloads.stop("steady", { timeoutSeconds: 0 });
    expect(await ended).toBe(137);
    expect(await home.countLines("steady")).toBeGreaterThan(20);
    expect(await home.state("steady")).toMatchObject({ Running: false, ExitCode: 137, Error: "" });
  });

  it("tells the true end of what ended while no daemon ran, and does what was wished for then", async (context) => {
    if (unusable.has(isolation)) return context.skip(unusable.get(isolation));
    const soon = (code: number) => ["sh", "-c", `i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo line $i; sleep 0.04; done; exit ${code}`];
    await home.run("by-hand", ["sleep", "1000"], { RestartPolicy: { Name: "unless-stopped" } });
    await daemon.client.workloads.stop("by-hand", { timeoutSeconds: 0 });
    await home.run("again", ["sh", "-c", "echo up; sleep 1; exit 3"], { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 1 } });
    await home.run("gone", ["sleep", "1"], { AutoRemove: true });
    await home.run("ends", soon(9));
    const killedAt = Date.now();
    await daemon.kill();
    await sleep(2000);
    await daemon.start();
    expect(await home.state("ends")).toMatchObject({ Running: false, ExitCode: 9, Error: "" });
    const { FinishedAt, StartedAt } = await home.state("ends");
    expect(Date.parse(FinishedAt)).toBeGreaterThan(Date.parse(StartedAt));
    expect(Date.parse(FinishedAt), "when it ended, not when it was heard of").toBeLessThan(killedAt + 1900);
    expect(await home.countLines("ends")).toBe(20);
    expect(await home.wait("ends")).toBe(9);
    await expect.poll(() => home.exists("gone"), { timeout: 20_000 }).toBe(false);
    await expect.poll(async () => (await home.log("again")).trim(), { timeout: 15_000, interval: 200 }).toBe("up\nup");
    expect(await home.state("by-hand"), "stopped by hand stays stopped").toMatchObject({ Running: false, ExitCode: 137 });
  });

  it("undoes launches that were only held, and starts what they were for", async (context) => {
    if (unusable.has(isolation)) return context.skip(unusable.get(isolation));
    for (const afterMs of [0, 30, 200]) {
      const id = await home.create("held", ["sh", "-c", "echo ran; exit 4"], { NetworkMode: "bridge" });
      await sleep(afterMs);
      await daemon.kill();
      await daemon.start();
      expect(await home.state("held")).toMatchObject({ Status: "created", Running: false });
      await expect.poll(() => daemon.traces().processes, { message: `killed ${afterMs} ms after create`, timeout: 30_000 }).toEqual(before.processes);
      expect(await daemon.client.workloads.start(id)).toBe(true);
      expect(await home.wait("held")).toBe(4);
      expect(await home.log("held"), "nothing of it ran before").toBe("ran\n");
      await home.remove("held");
      expect(await daemon.settledTraces(before)).toEqual(before);
    }
  });
});
