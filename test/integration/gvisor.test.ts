/** The gvisor boundary through the API, where it differs from a container: whose kernel answers, what of the host's is within its reach, how it is lost. */

import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";
import type { HostTraces } from "../harness/host-traces.ts";
import { findUnusable, readBaseline } from "./chaos/inhabitants.ts";

const daemon = await TestDaemon.open();
const why = (await findUnusable(daemon)).get("gvisor");
if (why !== undefined) console.log(`gvisor: skipped, because ${why}`);

const gvisor = (...words: string[]) => daemon.cli("run", "--rm", "--isolation", "gvisor", ...words);

describe.skipIf(why !== undefined)("a workload behind gVisor", () => {
  let before: HostTraces;
  beforeAll(async () => {
    before = await readBaseline(daemon);
  });
  afterEach(async () => {
    for (const { Id } of await daemon.client.workloads.list({ all: true })) await daemon.client.workloads.remove(Id, { force: true, volumes: true });
    expect(await daemon.settledTraces(before), "nothing is left over").toEqual(before);
  });

  it("sees a kernel that is not the host's, by each of the boundary's names, and inspect says which engine carries it", async () => {
    for (const choice of [
      ["--isolation", "gvisor"],
      ["--runtime", "runsc"],
      ["--runtime", "io.containerd.runsc.v1"],
    ]) {
      const { stdout, code } = await daemon.cli("run", "--rm", ...choice, "busybox", "sh", "-c", "uname -r; dmesg");
      expect(code).toBe(0);
      expect(stdout).toContain("gVisor");
      expect(stdout.split("\n")[0]).not.toBe(release());
    }
    await daemon.cli("run", "-d", "--name", "shown", "--isolation", "gvisor", "busybox", "sleep", "1000");
    const { stdout } = await daemon.cli("inspect", "-f", "{{json .Boundary}}", "shown");
    expect(JSON.parse(stdout)).toMatchObject({
      kind: "gvisor",
      engine: "runsc",
      version: expect.stringMatching(/\d{8}/),
      emulated: false,
      traits: expect.arrayContaining(["user-space-kernel", expect.stringMatching(/^platform-/)]),
    });
  });

  it("is reached by its published port, and reaches its neighbours", async () => {
    await daemon.cli(
      "run",
      "-d",
      "--name",
      "server",
      "--isolation",
      "gvisor",
      "-p",
      "127.0.0.1:0:80",
      "busybox",
      "sh",
      "-c",
      "echo served >index.html; httpd -f -p 80",
    );
    const { stdout: port } = await daemon.cli("inspect", "-f", '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', "server");
    const served = () => fetch(`http://127.0.0.1:${port.trim()}/index.html`).then((answer) => answer.text());
    await expect.poll(() => served().catch(String), { timeout: 10_000 }).toBe("served\n");
    const { stdout: inside } = await daemon.cli("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "server");
    for (const isolation of ["gvisor", "container"]) {
      const got = await daemon.cli(
        "run",
        "--rm",
        "--isolation",
        isolation,
        "busybox",
        "sh",
        "-c",
        `ping -c1 -W5 ${inside.trim()} >/dev/null && wget -qO- http://${inside.trim()}/`,
      );
      expect(got, isolation).toMatchObject({ code: 0, stdout: "served\n" });
    }
  });

  it("shares a volume with a container", async () => {
    expect(await gvisor("-v", "shared:/data", "busybox", "sh", "-c", "echo from gVisor >/data/file")).toMatchObject({ code: 0 });
    const { stdout } = await daemon.cli("run", "--rm", "-v", "shared:/data", "busybox", "cat", "/data/file");
    await daemon.cli("volume", "rm", "shared");
    expect(stdout).toBe("from gVisor\n");
  });

  it("tells the codes of commands that cannot run as Docker does", async () => {
    expect((await gvisor("busybox", "/no/such")).code).toBe(127);
    expect((await gvisor("busybox", "/etc")).code).toBe(126);
    expect(await gvisor("--network", "host", "busybox", "true")).toMatchObject({ code: 125, stderr: expect.stringMatching(/network/) });
    expect(await gvisor("--memory", "8m", "busybox", "true")).toMatchObject({ code: 125, stderr: expect.stringContaining("32") });
  });

  it("has a kernel that holds no way into the host's files: no directory, no socket of ours, an empty root, nobody's user", async () => {
    await daemon.cli("run", "-d", "--name", "held", "--isolation", "gvisor", "busybox", "sleep", "1000");
    const { State } = await daemon.client.workloads.inspect("held");
    const places = readdirSync(`/proc/${State.Pid}/fd`).map((fd) => linkOf(`/proc/${State.Pid}/fd/${fd}`));
    // Pipes and sockets are its own and its gofer's, which hands it the workload's open files from below its own /root; its log it may only append to.
    const named = places.filter((place) => place.startsWith("/") && !place.startsWith("/dev/null") && !place.startsWith("/memfd:"));
    expect(
      named.filter((place) => !/\/state\/[0-9a-f]{64}\/(log|panic)$/.test(place) && !place.startsWith("/root/bin/") && !/^\/dev\/(ptmx|pts)/.test(place)),
    ).toEqual([]);
    const status = readFileSync(`/proc/${State.Pid}/status`, "utf8");
    expect(status).toMatch(/^Seccomp:\s+2$/m);
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).not.toBe("0");
    expect(linkOf(`/proc/${State.Pid}/ns/user`)).not.toBe(linkOf("/proc/self/ns/user"));
    expect(readdirSync(`/proc/${State.Pid}/root`).filter((name) => !["proc", "etc"].includes(name))).toEqual([]);
  });

  it("has a file server that is nobody of the host's, and keeps owners as they are on the disk; the control's is the host's root", async () => {
    const directory = join(daemon.root, "bound");
    mkdirSync(directory);
    for (const [name, words] of Object.entries({ own: [], control: ["--userns=host"] })) {
      await daemon.cli("run", "-d", "--name", name, "--isolation", "gvisor", ...words, "-v", `${directory}:/bound`, "busybox", "sleep", "1000");
      const { Id, Boundary } = await daemon.client.workloads.inspect(name);
      const servers = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && isServerOf(pid, Id));
      const uid = Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${servers[0]}/status`, "utf8"))?.[1]);
      expect(servers).toHaveLength(1);
      expect(uid >= 0x7000_0000).toBe(name === "own");
      expect(Boundary?.traits).toContain(name === "own" ? "user-namespace" : "host-ids");
      await daemon.cli("exec", name, "sh", "-c", `touch /bound/${name}; chown 1000:1000 /bound/${name}`);
      expect(statSync(join(directory, name)).uid).toBe(1000);
      await daemon.cli("rm", "-f", name);
    }
  });

  it("is lost with its kernel, and that is told as it is", async () => {
    await daemon.cli("run", "-d", "--name", "lost", "--isolation", "gvisor", "busybox", "sleep", "1000");
    const { State } = await daemon.client.workloads.inspect("lost");
    process.kill(State.Pid, "SIGKILL");
    await expect.poll(async () => (await daemon.client.workloads.inspect("lost")).State.Running).toBe(false);
    expect((await daemon.client.workloads.inspect("lost")).State).toMatchObject({
      ExitCode: 137,
      OOMKilled: false,
      Error: expect.stringContaining("gVisor's kernel"),
    });
    await daemon.client.workloads.start("lost");
    expect((await daemon.cli("exec", "lost", "echo", "again")).stdout).toBe("again\n");
  });

  it("ends when it goes beyond its limit of processes, and is told why", async () => {
    // First a moment, so that it is told apart from one that never came up.
    const script = "sleep 1; i=0; while [ $i -lt 60 ]; do sleep 20 & i=$((i+1)); done; sleep 5; echo made";
    await daemon.cli("run", "-d", "--name", "many", "--isolation", "gvisor", "--pids-limit", "8", "busybox", "sh", "-c", script);
    await daemon.cli("wait", "many");
    expect((await daemon.cli("logs", "many")).stdout).not.toContain("made");
    expect((await daemon.client.workloads.inspect("many")).State).toMatchObject({ ExitCode: 137, Error: expect.stringContaining("limit of 8 processes") });
  });

  it("keeps what it wrote when it is killed", async () => {
    await daemon.cli(
      "run",
      "-d",
      "--name",
      "writer",
      "--isolation",
      "gvisor",
      "busybox",
      "sh",
      "-c",
      "cat /kept && exit; exec 3>/kept; echo still here >&3; sleep 1000",
    );
    await sleep(300);
    expect((await daemon.cli("kill", "writer")).code).toBe(0);
    await daemon.cli("wait", "writer");
    await daemon.client.workloads.start("writer");
    await daemon.cli("wait", "writer");
    expect((await daemon.cli("logs", "writer")).stdout).toBe("still here\n");
  });
});

afterAll(() => daemon.close());

function isServerOf(pid: string, workload: string): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return words.startsWith("runsc-gofer") && words.includes(workload);
  } catch {
    return false; // gone meanwhile
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // closed meanwhile
  }
}
