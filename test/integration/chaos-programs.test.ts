/** SIGKILL to what stands between a workload and the daemon: supervisor, launcher, machine monitor. It is said as it is, and nothing is left. */

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";
import type { HostTraces } from "../harness/host-traces.ts";
import { COUNTING, findUnusable, Inhabitants, isAlive, readBaseline } from "./chaos/inhabitants.ts";

let daemon: TestDaemon;
let before: HostTraces;
let unusable: ReadonlyMap<string, string>;
beforeAll(async () => {
  daemon = await TestDaemon.open();
  unusable = await findUnusable(daemon);
  before = await readBaseline(daemon);
});
afterAll(() => daemon.close());

const BRIDGE = { NetworkMode: "bridge" };

describe.each(["container", "gvisor", "microvm"])("behind %s", (isolation) => {
  let home: Inhabitants;
  beforeAll(() => {
    home = new Inhabitants(daemon, isolation);
  });
  afterEach(async () => {
    await home.clear();
    expect(await daemon.settledTraces(before), "nothing is left over").toEqual(before);
  });

  it("a supervisor that is killed takes its workload with it, and inspect and events say so", async (context) => {
    if (unusable.has(isolation)) return context.skip(unusable.get(isolation));
    const id = await home.run("orphan", COUNTING, BRIDGE);
    const { Pid } = await home.state("orphan");
    const ended = home.wait("orphan");
    await sleep(200);
    process.kill(home.supervisorPid(id), "SIGKILL");
    expect(await ended).toBe(137);
    expect(await home.state("orphan")).toMatchObject({ Running: false, ExitCode: 137, OOMKilled: false, Error: expect.stringContaining("supervisor") });
    const died = (await home.events(id)).find(({ Action }) => Action === "die");
    expect(died?.Actor.Attributes).toMatchObject({ exitCode: "137", boundaryLost: expect.stringContaining("supervisor") as unknown });
    await expect.poll(() => isAlive(Pid), { timeout: 20_000 }).toBe(false);
    await home.countLines("orphan");
    await daemon.client.workloads.start("orphan");
    expect((await home.exec("orphan", ["echo", "again"])).output).toBe("again\n");
  });

  it("a supervisor that is killed while no daemon runs is found out at the next start", async (context) => {
    if (unusable.has(isolation)) return context.skip(unusable.get(isolation));
    const id = await home.run("orphan", COUNTING, BRIDGE);
    await home.run("restarted", ["sleep", "1000"], { RestartPolicy: { Name: "always" } });
    const supervisor = home.supervisorPid(id);
    await daemon.kill();
    process.kill(supervisor, "SIGKILL");
    await sleep(100);
    await daemon.start();
    expect(await home.state("orphan")).toMatchObject({ Running: false, ExitCode: 137, Error: expect.stringMatching(/\S/) });
    expect(await home.state("restarted")).toMatchObject({ Running: true });
  });

  it("a launcher that is killed is replaced: workloads go on, new ones run, old ones can be ended", async (context) => {
    if (unusable.has(isolation)) return context.skip(unusable.get(isolation));
    await home.run("steady", COUNTING, BRIDGE);
    const { Pid } = await home.state("steady");
    const old = daemon.launcherPid();
    process.kill(old, "SIGKILL");
    expect(await home.exec("steady", ["echo", "at once"])).toEqual({ code: 0, output: "at once\n" });
    await home.run("after", ["sh", "-c", "exit 6"], BRIDGE);
    expect(await home.wait("after")).toBe(6);
    expect(daemon.launcherPid()).not.toBe(old);
    expect(await home.state("steady")).toMatchObject({ Running: true, Pid });
    await daemon.client.workloads.kill("steady");
    expect(await home.wait("steady")).toBe(137);
    expect(await home.countLines("steady")).toBeGreaterThan(0);
  });

  it("daemon and launcher killed together: workloads go on, and all is found again", async (context) => {
    if (unusable.has(isolation)) return context.skip(unusable.get(isolation));
    await home.run("steady", COUNTING, BRIDGE);
    await home.run("ends", ["sh", "-c", "sleep 0.7; exit 8"]);
    await home.create("held", ["true"]);
    process.kill(daemon.launcherPid(), "SIGKILL");
    await daemon.kill();
    await sleep(1200);
    await daemon.start();
    expect(await home.state("steady")).toMatchObject({ Running: true });
    expect(await home.state("ends")).toMatchObject({ Running: false, ExitCode: 8 });
    expect(await home.exec("steady", ["echo", "still"])).toEqual({ code: 0, output: "still\n" });
    await daemon.client.workloads.start("held");
    expect(await home.wait("held")).toBe(0);
    await daemon.client.workloads.stop("steady", { timeoutSeconds: 0 });
    expect(await home.countLines("steady")).toBeGreaterThan(20);
  });
});

describe("a machine's monitor", () => {
  let home: Inhabitants;
  beforeAll(() => {
    home = new Inhabitants(daemon, "microvm");
  });
  afterEach(async () => {
    await home.clear();
    expect(await daemon.settledTraces(before), "nothing is left over").toEqual(before);
  });

  it("that is killed is told as a boundary that was lost, with the log up to then", async (context) => {
    if (unusable.has("microvm")) return context.skip(unusable.get("microvm"));
    const id = await home.run("machine", COUNTING, BRIDGE);
    const exec = home.exec("machine", ["sleep", "1000"]).then(
      ({ code }) => code,
      () => "lost",
    );
    await sleep(300);
    const ended = home.wait("machine");
    process.kill((await home.state("machine")).Pid, "SIGKILL");
    expect(await ended).toBe(137);
    expect(await home.state("machine")).toMatchObject({
      Running: false,
      ExitCode: 137,
      OOMKilled: false,
      Error: expect.stringMatching(/monitor|machine|QEMU/i),
    });
    const died = (await home.events(id)).find(({ Action }) => Action === "die")?.Actor.Attributes;
    expect(died).toMatchObject({ exitCode: "137", boundaryLost: expect.stringMatching(/monitor|machine|QEMU/i) as unknown });
    const boundary = (await daemon.client.workloads.inspect(id)).Boundary;
    expect(died?.["emulated"], "events say what inspect says").toBe(boundary?.emulated ? "true" : undefined);
    expect([137, "lost"], "an exec in it does not hang").toContain(await exec);
    await home.countLines("machine");
  });

  it("that is killed while no daemon runs is told the same way afterwards", async (context) => {
    if (unusable.has("microvm")) return context.skip(unusable.get("microvm"));
    await home.run("machine", COUNTING, BRIDGE);
    const { Pid } = await home.state("machine");
    await daemon.kill();
    process.kill(Pid, "SIGKILL");
    await sleep(300);
    await daemon.start();
    expect(await home.state("machine")).toMatchObject({ Running: false, ExitCode: 137, Error: expect.stringMatching(/monitor|machine|QEMU/i) });
    await home.countLines("machine");
  });
});
