/** The daemon's own life, with real containers behind it: started, refused, killed, adopted, stopped. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listNames, OwnDaemon } from "./host/own-daemon.ts";

const checkout = join(import.meta.dirname, "../..");
const root = process.getuid?.() === 0;
if (!root) console.log("daemon: skipped, because the launcher needs root");

/** A zombie that nobody has buried yet is dead as well. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

describe.skipIf(!root)("the daemon", () => {
  let daemon: OwnDaemon;

  beforeAll(async () => {
    daemon = new OwnDaemon("daemon");
    await daemon.start();
    const archive = join(mkdtempSync("/tmp/bulkhead-archive-"), "busybox.tar");
    execFileSync(process.execPath, [join(checkout, "scripts/fixtures/busybox-image.ts"), archive]);
    const loaded = await daemon.call("POST", "/images/load", readFileSync(archive));
    rmSync(join(archive, ".."), { recursive: true });
    expect(loaded.text).toContain("busybox");
  });
  afterAll(() => daemon.close());

  async function run(name: string, command: readonly string[], host: object = {}): Promise<string> {
    const created = await daemon.call("POST", `/containers/create?name=${name}`, {
      Image: "busybox",
      Cmd: command,
      HostConfig: { NetworkMode: "none", ...host },
    });
    expect(created.status, created.text).toBe(201);
    const started = await daemon.call("POST", `/containers/${name}/start`);
    expect(started.status, started.text).toBe(204);
    return String(created.body["Id"]);
  }
  const stateOf = async (name: string) => (await daemon.call("GET", `/containers/${name}/json`)).body["State"] as Record<string, unknown>;
  const wait = (name: string) => daemon.call("POST", `/containers/${name}/wait`);

  it("gives its socket to root and the group alone", () => {
    expect(statSync(daemon.socket).mode & 0o777).toBe(0o660);
    expect(statSync(join(daemon.root, "run/s")).mode & 0o777).toBe(0o700);
    expect(statSync(join(daemon.root, "images")).mode & 0o777).toBe(0o700);
  });

  it("refuses a second daemon on the same root by name, and says what to do", async () => {
    const { code, stderr } = await daemon.tryStart();
    expect(code).toBe(1);
    expect(stderr).toMatch(/Another daemon \(process \d+\) already runs on .*\nRemedy: /);
    expect((await daemon.call("GET", "/_ping")).status, "the first one goes on").toBe(200);
  });

  it("refuses a socket that another daemon listens on", async () => {
    const other = new OwnDaemon("other");
    try {
      const { code, stderr } = await other.tryStart("--socket", daemon.socket);
      expect(code).toBe(1);
      expect(stderr).toMatch(/bulkhead\.sock.*\nRemedy: /);
      expect((await daemon.call("GET", "/_ping")).status).toBe(200);
    } finally {
      await other.close();
    }
  });

  it("lives beside a daemon of another root", async () => {
    const other = new OwnDaemon("other");
    try {
      await other.start();
      const [here, there] = await Promise.all([daemon, other].map(async (one) => (await one.call("GET", "/bulkhead/v1/version")).body["id"]));
      expect(here).not.toBe(there);
      expect((await other.call("GET", "/images/json")).body).toEqual([]);
    } finally {
      await other.close();
    }
  });

  it("exits 2 for a command line or a configuration that is wrong", async () => {
    expect(await daemon.tryStart("--nonsense")).toMatchObject({ code: 2, stderr: expect.stringContaining("--nonsense") });
    expect(await daemon.tryStart("--config", "/etc/hostname")).toMatchObject({ code: 2, stderr: expect.stringContaining("not JSON") });
  });

  it("says what is wrong with a launcher that is not there or does not come up, and takes no other", async () => {
    const place = mkdtempSync("/tmp/bulkhead-launcherless-");
    try {
      const file = join(place, "config.json");
      for (const [launcher, said] of [
        ["/no/such/launcher", "cannot be run: /no/such/launcher"],
        ["/bin/false", "/bin/false does not answer"],
      ] as const) {
        writeFileSync(file, JSON.stringify({ launcher }));
        const { code, stderr } = await daemon.tryStart("--root", join(place, "root"), "--socket", join(place, "api.sock"), "--config", file);
        expect(code).toBe(1);
        expect(stderr).toContain(said);
        expect(stderr).toMatch(/^Remedy: \S/m);
        expect(existsSync(join(place, "api.sock"))).toBe(false);
      }
    } finally {
      rmSync(place, { recursive: true });
    }
  });

  it("killed with SIGKILL, comes back to what runs and to what ended meanwhile, with true exit codes", async () => {
    await run("goes-on", ["sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done"]);
    await run("ends", ["sh", "-c", "sleep 0.5; exit 9"]);
    await run("goes-itself", ["sleep", "0.5"], { AutoRemove: true });
    await daemon.end("SIGKILL");
    await sleep(1200);
    await daemon.start();
    expect(await stateOf("goes-on")).toMatchObject({ Running: true });
    expect(await stateOf("ends")).toMatchObject({ Running: false, ExitCode: 9 });
    expect((await daemon.call("GET", "/containers/goes-itself/json")).status).toBe(404);
    await daemon.call("POST", "/containers/goes-on/kill");
    await wait("goes-on");
    const log = (await daemon.call("GET", "/containers/goes-on/logs?stdout=1")).text;
    const numbers = [...log.matchAll(/line (\d+)/g)].map(([, number]) => Number(number));
    expect(numbers.length).toBeGreaterThan(40);
    expect(numbers, "no line is lost or doubled").toEqual(numbers.map((_, index) => index + 1));
  });

  it("told to stop, lets workloads go on and exits 0", async () => {
    await run("survives", ["sleep", "60"]);
    expect(await daemon.end("SIGTERM")).toBe(0);
    await daemon.start();
    expect(await stateOf("survives")).toMatchObject({ Running: true });
    expect((await daemon.call("DELETE", "/containers/survives?force=1")).status).toBe(204);
  });

  it("starts a new launcher where the old one was killed, and workloads notice nothing", async () => {
    await run("steady", ["sleep", "60"]);
    process.kill(daemon.launcherPid(), "SIGKILL");
    await sleep(50);
    expect(await stateOf("steady")).toMatchObject({ Running: true });
    await run("after", ["true"]);
    expect((await wait("after")).body["StatusCode"]).toBe(0);
    expect((await daemon.call("DELETE", "/containers/steady?force=1")).status).toBe(204);
  });

  it("says honestly that a supervisor was killed, and leaves nothing of its workload", async () => {
    await run("orphan", ["sleep", "60"]);
    const pid = Number((await stateOf("orphan"))["Pid"]);
    const supervisor = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
    process.kill(supervisor, "SIGKILL");
    await wait("orphan");
    expect(await stateOf("orphan")).toMatchObject({ Running: false, ExitCode: 137, Error: expect.stringContaining("supervisor was killed") });
    expect(isAlive(pid)).toBe(false);
  });

  it("tells who is at the other end and what this host can do", async () => {
    const { findings } = (await daemon.call("GET", "/bulkhead/v1/doctor")).body as { findings: { id: string; level: string }[] };
    expect(findings.find(({ id }) => id === "container-crun-runs" || id === "container-runc-runs")?.level).toBe("ok");
    for (const finding of findings) expect(finding).toMatchObject({ id: expect.stringMatching(/^[a-z0-9-]+$/), what: expect.stringMatching(/\S/) });
    for (const finding of findings.filter(({ level }) => level === "missing" || level === "warning")) expect(finding, "has a remedy").toHaveProperty("remedy");
  });

  it("leaves nothing of removed workloads", async () => {
    for (const { Id } of (await daemon.call("GET", "/containers/json?all=1")).body as unknown as { Id: string }[])
      await daemon.call("DELETE", `/containers/${Id}?force=1`);
    expect(listNames(join(daemon.root, "workloads"))).toEqual([]);
    expect(listNames(join(daemon.root, "run/s"))).toEqual([]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(daemon.root);
  });
});
