import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Sandbox } from "@bulkhead/sdk";
import { CHECKOUT, TestDaemon } from "../harness/daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.open();
});
afterAll(async () => {
  await daemon.close();
});

describe("the command line against a real daemon", () => {
  it("gives the workload's outputs, and exit codes as Docker does", async () => {
    expect(await daemon.cli("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7")).toEqual({ code: 7, stdout: "out\n", stderr: "err\n" });
    expect((await daemon.cli("run", "--rm", "busybox", "no-such-program")).code).toBe(127);
    expect((await daemon.cli("run", "--rm", "busybox", "/etc")).code).toBe(126);
    expect((await daemon.cli("run", "--rm", "-w", "/etc/passwd", "busybox", "true")).code).toBe(126);
    await daemon.cli("run", "-d", "--name", "standing", "busybox", "sleep", "1000");
    const lost = await daemon.cli("exec", "-w", "/no/such", "standing", "true");
    expect(lost, lost.stderr).toMatchObject({ code: 126 });
    expect((await daemon.cli("exec", "standing", "no-such-program")).code).toBe(127);
    const nobody = await daemon.cli("exec", "-u", "ghost", "standing", "true");
    expect(nobody).toMatchObject({ code: 126 });
    expect(`${nobody.stdout}${nobody.stderr}`).toContain('The image has no user "ghost"');
    await daemon.cli("rm", "-f", "standing");
    const absent = await daemon.cli("run", "--rm", "absent.wasm");
    expect(absent).toMatchObject({ code: 125, stderr: expect.stringContaining('there is no file "absent.wasm" here') });
    expect((await daemon.cli("run", "--rm", "--network", "no-such-network", "busybox", "true")).code).toBe(125);
  });

  it("gives a terminal's bytes as they are: what ends a line is the workload's terminal's affair", async () => {
    const command = `${join(CHECKOUT, "bin/bulkhead")} run --rm -it --network none busybox sh -c "printf 'ab\\ncd\\n'; stty -onlcr; printf 'ef\\ngh\\n'"`;
    // Its input stays open: the end of it would be typed into the terminal.
    const child = spawn("script", ["-qefc", command, "/dev/null"], { env: { ...process.env, BULKHEAD_HOST: daemon.host } });
    let shown = "";
    child.stdout.on("data", (chunk: Buffer) => (shown += chunk.toString()));
    const [code] = (await once(child, "close")) as [number];
    expect(shown).toContain("ab\r\ncd\r\nef\ngh\n");
    expect(code).toBe(0);
  });

  it("carries megabytes in and out unchanged", () => {
    const input = Buffer.alloc(5_000_000, "0123456789abcdef");
    const done = spawnSync(join(CHECKOUT, "bin/bulkhead"), ["run", "--rm", "-i", "busybox", "cat"], {
      input,
      env: { ...process.env, BULKHEAD_HOST: daemon.host },
      maxBuffer: 64 * 1024 * 1024,
    });
    expect(done.status).toBe(0);
    expect(Buffer.compare(done.stdout, input)).toBe(0);
  });

  it("lives with a workload: exec, logs, pause, update, stop, start, rm", async () => {
    const id = (await daemon.cli("run", "-d", "--name", "web", "--memory", "64m", "busybox", "sh", "-c", "echo ready; exec sleep 300")).stdout.trim();
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await daemon.cli("exec", "web", "sh", "-c", "exit 9")).toMatchObject({ code: 9 });
    expect((await daemon.cli("logs", "web")).stdout).toBe("ready\n");
    expect((await daemon.cli("pause", "web")).code).toBe(0);
    expect((await daemon.cli("ps", "--format", "{{.Status}}")).stdout).toContain("(Paused)");
    await daemon.cli("unpause", "web");
    await daemon.cli("update", "--memory", "128m", "web");
    expect((await daemon.cli("inspect", "-f", "{{.HostConfig.Memory}} {{.Boundary.kind}}", "web")).stdout).toBe(`${128 * 1024 ** 2} container\n`);
    expect((await daemon.cli("stop", "-t", "0", "web")).stdout).toBe("web\n");
    expect((await daemon.cli("ps", "-a", "--format", "{{.Names}} {{.State}}")).stdout).toBe("web exited\n");
    expect((await daemon.cli("start", "web")).code).toBe(0);
    expect((await daemon.cli("rm", "web")).code).toBe(1);
    expect((await daemon.cli("rm", "-f", "web")).stdout).toBe("web\n");
    expect((await daemon.cli("ps", "-aq")).stdout).toBe("");
  });
});

describe("doctor", () => {
  it("prints what its published schema says", async () => {
    const schema = JSON.parse(readFileSync(join(CHECKOUT, "docs/schema/doctor.json"), "utf8")) as object;
    const validate = new Ajv().compile(schema);
    const report: unknown = JSON.parse((await daemon.cli("doctor", "--json")).stdout);
    validate(report);
    expect(validate.errors).toBeNull();
    expect(validate({ ...(report as object), schemaVersion: 2 })).toBe(false);
    expect((report as { findings: object[] }).findings.length).toBeGreaterThan(5);
  });
});

describe("the SDK's sandbox on a real daemon", () => {
  it("runs commands, keeps files, and kills a command with its children at its own limit", async () => {
    await using sandbox = await Sandbox.create({ image: "busybox", host: daemon.host });
    expect((await sandbox.commands.run(["echo", "hi"], { check: true })).stdout).toBe("hi\n");
    await sandbox.files.write("/srv/deep/a.txt", "grüezi");
    expect(await sandbox.files.readText("/srv/deep/a.txt")).toBe("grüezi");
    await expect(sandbox.files.read("/nope")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(sandbox.commands.run("sleep 50 & sleep 100", { timeoutMs: 300 })).rejects.toMatchObject({ code: "TIMED_OUT" });
    await expect.poll(async () => (await sandbox.commands.run("ps")).stdout).not.toMatch(/sleep (50|100)/);
  });

  it("ends by itself when its life is over", async () => {
    await using sandbox = await Sandbox.create({ image: "busybox", host: daemon.host, lifetimeMs: 1000 });
    await expect
      .poll(
        () =>
          sandbox.inspect().then(
            () => "there",
            (thrown: { code?: string }) => thrown.code,
          ),
        { timeout: 10_000, interval: 200 },
      )
      .toBe("NOT_FOUND");
  });
});
