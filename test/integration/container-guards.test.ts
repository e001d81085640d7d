/** What a container's spec asks for, seen from inside and tried: each guard by its effect, next to the control on which the same deed succeeds. */

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Call, plainCall } from "../../src/contract/call.ts";
import type { BoundaryDriver } from "../../src/contract/driver.ts";
import { plainProcess, type ProcessSpec } from "../../src/contract/process.ts";
import type { FilesFacet } from "../../src/contract/sandbox.ts";
import type { SandboxSpec, SecuritySpec } from "../../src/contract/spec.ts";
import { archiveOf } from "../../src/contract/testkit/archives.ts";
import { createContainerDriver } from "../../src/drivers/container/driver.ts";
import { findProgram } from "../../src/host/host-facts.ts";
import { BUSYBOX, makeBusyboxLayer, specOf } from "./host/busybox-root.ts";
import { findNativeProgram } from "./host/native-program.ts";
import { openOwnLauncher, type OwnLauncher } from "./host/own-launcher.ts";

type Change = Partial<Omit<SandboxSpec, "security">> & { readonly security?: Partial<SecuritySpec> };

const opened = existsSync(BUSYBOX) ? await openOwnLauncher("guards") : { unavailable: "busybox-static is not installed" };
if ("unavailable" in opened) console.log(`container guards: skipped, because ${opened.unavailable}`);

describe.skipIf("unavailable" in opened)("a container's guards", () => {
  const launcher = opened as OwnLauncher;
  const call: Call = plainCall();
  let driver: BoundaryDriver;
  let layer: string;
  let shared: string;

  beforeAll(async () => {
    layer = makeBusyboxLayer(launcher.root);
    shared = join(launcher.root, "shared");
    mkdirSync(shared);
    writeFileSync(join(shared, "file"), "from the host\n");
    const initPrograms = [findNativeProgram("bulkhead-init") ?? ""];
    // As in container-conformance.test.ts: runc keeps what crun keeps.
    const runtime = process.env["BULKHEAD_TEST_RUNTIME"];
    driver = createContainerDriver({
      launcher: launcher.client,
      root: launcher.root,
      sockets: launcher.sockets,
      initPrograms,
      findProgram: (name) => (runtime === undefined || name === runtime ? findProgram(name) : undefined),
    });
    expect((await driver.probe(call)).usable).toBe(true);
  });
  afterAll(() => launcher.close());

  /** Runs a script to its end and gives all that it said. */
  async function run(script: string, change: Change = {}, main: Partial<ProcessSpec> = {}): Promise<string> {
    const plain = specOf(randomBytes(32).toString("hex"), layer, (workload) => join(launcher.root, "workloads", workload));
    const spec = { ...plain, ...change, security: { ...plain.security, ...change.security } };
    const bundle = await driver.prepare(spec, join(launcher.root, "workloads", spec.workload), call);
    try {
      const process: ProcessSpec = { ...plainProcess(["sh", "-c", `exec 2>&1; ${script}`]), ...main };
      const sandbox = await driver.launch(bundle, process, call);
      const attachment = await sandbox.main.attach({ stdin: false, stdout: true, stderr: true }, call);
      await sandbox.start(call);
      let text = "";
      for await (const { bytes } of attachment.output) text += Buffer.from(bytes).toString();
      await sandbox.ended;
      return text.trim();
    } finally {
      await driver.remove(bundle, call);
    }
  }

  it("drops capabilities that were not given", async () => {
    expect(await run("chown 5 /etc/passwd && echo done", { security: { capabilities: [] } })).toContain("Operation not permitted");
    expect(await run("chown 5 /etc/passwd && echo done")).toBe("done");
    expect(await run("grep CapEff /proc/self/status", { security: { capabilities: ["CAP_KILL"] } })).toMatch(/0{14}20$/);
  });

  it("filters system calls, unless told not to", async () => {
    const script = "mkdir /m; mount -t tmpfs none /m && echo mounted; grep Seccomp: /proc/self/status";
    expect(await run(script)).toMatch(/Seccomp:\s+2$/);
    expect(await run(script)).not.toContain("mounted");
    // AppArmor, where the host has it, would deny the mount by itself.
    const unfiltered = { seccomp: "unconfined", appArmor: "unconfined", capabilities: ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"] } as const;
    expect(await run(script, { security: unfiltered })).toMatch(/mounted\nSeccomp:\s+0$/);
    const noChmod = {
      seccomp: { profile: '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["chmod","fchmodat","fchmodat2"],"action":"SCMP_ACT_ERRNO"}]}' },
    };
    expect(await run("chmod 700 /etc/passwd && echo changed", { security: noChmod })).not.toContain("changed");
    expect(await run("chmod 700 /etc/passwd && echo changed")).toBe("changed");
  });

  it("masks and protects what shows the host", async () => {
    const paths = { maskedPaths: ["/proc/version", "/sys/class"], readOnlyPaths: ["/proc/sys"] };
    const script = "cat /proc/version; ls /sys/class; echo 1 > /proc/sys/net/ipv4/ip_forward && echo written";
    expect(await run(script, { security: paths })).toMatch(/^sh: can't create .*Read-only file system$/);
    expect(await run("cat /proc/version", {})).toContain("Linux version");
  });

  it("keeps set-uid programs from gaining privilege where told so", async () => {
    expect(await run("grep NoNewPrivs /proc/self/status", { security: { noNewPrivileges: true } })).toMatch(/1$/);
    expect(await run("grep NoNewPrivs /proc/self/status", { security: { noNewPrivileges: false } })).toMatch(/0$/);
  });

  it("lets no device be opened that was not given", async () => {
    const script = "mknod /fuse c 10 229; (exec 3< /fuse) && echo open";
    expect(await run(script)).toContain("Operation not permitted");
    const devices = [{ hostPath: "/dev/fuse", path: "/dev/fuse", access: "rwm" }];
    if (existsSync("/dev/fuse")) expect(await run("(exec 3< /dev/fuse) && echo open", { security: { devices } })).toBe("open");
  });

  it("keeps a root and a bind read-only, and shows later writes of the host through it", async () => {
    const bind = (readOnly: boolean) => ({ mounts: [{ kind: "bind" as const, source: shared, target: "/data", readOnly }] });
    expect(await run("cat /data/file; touch /data/new", bind(true))).toMatch(/^from the host\ntouch: .*Read-only/);
    expect(await run("echo back > /data/back; cat /data/back", bind(false))).toBe("back");
    expect(readFileSync(join(shared, "back"), "utf8")).toBe("back\n");
    expect(await run("touch /x; touch /dev/shm/x && echo shm", { security: { readOnlyRoot: true } })).toMatch(/Read-only file system\nshm$/);
  });

  it("runs as the user that the image or the host's numbers name", async () => {
    expect(await run("id", {}, { user: "worker" })).toBe("uid=1000(worker) gid=1000(worker) groups=50(staff)");
    expect(await run("id -u; id -G; echo $HOME", {}, { user: "4242:4243", additionalGroups: ["staff"] })).toBe("4242\n4243 50\n/");
  });

  it("sets limits, sysctls and the size of shared memory", async () => {
    expect(await run("ulimit -n; ulimit -Hn", { rlimits: [{ name: "RLIMIT_NOFILE", soft: 100, hard: 200 }] })).toBe("100\n200");
    expect(await run("cat /proc/sys/net/ipv4/tcp_fin_timeout", { sysctls: { "net.ipv4.tcp_fin_timeout": "99" } })).toBe("99");
    expect(await run("grep ' /dev/shm ' /proc/mounts", { shmBytes: 2 * 1024 * 1024 })).toContain("size=2048k");
    expect(await run("cat /proc/self/oom_score_adj", { limits: { oomScoreAdjust: 500 } })).toBe("500");
  });

  it("shares a namespace of the host only where it was named", async () => {
    const script = "readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc; hostname";
    const own = (await run(script)).split("\n");
    const shared = (await run(script, { security: { hostNamespaces: ["uts", "ipc"] } })).split("\n");
    const host = ["uts", "ipc"].map((name) => readlinkSync(`/proc/self/ns/${name}`));
    expect(shared.slice(0, 2)).toEqual(host);
    expect(own[0]).not.toBe(host[0]);
    expect(own[2]).toBe("box");
  });

  it("gives a privileged workload what the host's root has", async () => {
    const mask = /CapBnd:\s+(\S+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    const text = await run("grep CapEff /proc/self/status; mkdir /m; mount -t tmpfs none /m && echo mounted", {
      security: { privileged: true, maskedPaths: [], readOnlyPaths: [] },
    });
    expect(text).toContain(String(mask));
    expect(text).toContain("mounted");
  });

  it("runs the command under an init where one was asked for", async () => {
    expect(await run("cat /proc/1/comm", { init: true })).toMatch(/init/);
    expect(await run("cat /proc/1/comm")).toBe("cat");
    // What is left to process 1 is reaped.
    const look = "sleep 0.5; cat /proc/[0-9]*/status | grep -c State:.Z";
    const orphan = `(sleep 0.1 &); exec awk 'BEGIN { system("${look}") }'`;
    expect(await run(orphan, { init: true })).toBe("0");
    expect(await run("echo x > /sbin/docker-init || echo refused", { init: true })).toContain("refused");
    // Signals reach the command, and its exit code is the workload's.
    expect(await run("trap 'echo told; exit 3' TERM; kill -TERM 1; sleep 1; echo not told", { init: true })).toBe("told");
  });

  it("shows control groups, and lets nobody write there", async () => {
    const script = "echo x > /sys/fs/cgroup/x || echo refused; mkdir /sys/fs/cgroup/y || echo refused; ls /sys/fs/cgroup | head -n 1";
    const text = await run(script);
    expect(text.split("\n").filter((line) => line === "refused")).toHaveLength(2);
    expect(text.split("\n").at(-1)).toMatch(/[a-z]/);
    const writable = { security: { privileged: true, maskedPaths: [], readOnlyPaths: [] } };
    expect(await run("mount -t tmpfs none /tmp && mkdir /tmp/y && echo made", writable)).toBe("made");
  });

  it("leaves the process that reads its files nothing but files: a filter, six powers, and no descriptor but its streams and the tree's", async () => {
    const plain = specOf(randomBytes(32).toString("hex"), layer, (workload) => join(launcher.root, "workloads", workload));
    const bundle = await driver.prepare(plain, join(launcher.root, "workloads", plain.workload), call);
    try {
      const sandbox = await driver.launch(bundle, plainProcess(["sleep", "1000"]), call);
      const files = sandbox.files as FilesFacet;
      await files.write("/", archiveOf([{ name: "large", bytes: 12 * 1024 * 1024 }]), { keepKinds: false, keepOwners: true }, call);
      const { archive } = await files.read("/large", call);
      // It has said a part, and waits with the rest.
      for await (const piece of archive) {
        if (piece.length === 0) continue;
        const pid = findStranger(sandbox.main.hostPid ?? 0);
        const status = readFileSync(`/proc/${pid}/status`, "utf8");
        expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
        expect(status).toMatch(/^Seccomp:\s+2$/m);
        expect(status).toMatch(/^CapEff:\s+000000008800001b$/m);
        const held = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
        expect(held.filter((name) => !/^pipe:|^\/(large)?$/.test(name))).toEqual([]);
        break;
      }
    } finally {
      await driver.remove(bundle, call);
    }
  });
});

/** The process that has a workload's view of files and is in no pid namespace of the workload's. */
function findStranger(pid: number): number {
  const space = (of: string, kind: string) => {
    try {
      return readlinkSync(`/proc/${of}/ns/${kind}`);
    } catch {
      return ""; // gone meanwhile, or none
    }
  };
  const [view, here] = [space(`${pid}`, "mnt"), space("self", "pid")];
  const found = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && space(name, "mnt") === view && space(name, "pid") === here);
  expect(found).toHaveLength(1);
  return Number(found[0]);
}
