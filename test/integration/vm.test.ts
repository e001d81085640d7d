/** Whole machines: imported as disks, booted by firmware, lived with over their serial line, and gone without a trace. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { trialDisk } from "../../src/drivers/vm/boot-sector.ts";
import { CHECKOUT, run, TestDaemon } from "../harness/daemon.ts";

const root = process.getuid?.() === 0;
if (!root) console.log("whole machines: skipped, because the launcher needs root");

/** A busy host may take long: nothing here measures. */
const PATIENCE_MS = 90_000;
const MEMORY = "192m";

describe.skipIf(!root)("a whole machine", { timeout: 300_000 }, () => {
  let daemon: TestDaemon;
  let work: string;
  let lacking: string | undefined;
  let noDisk: string | undefined;

  beforeAll(async () => {
    work = mkdtempSync("/tmp/bulkhead-vm-");
    daemon = await TestDaemon.open({ image: false });
    const report = (await daemon.client.system.probes()).find(({ kind }) => kind === "vm");
    if (report?.usable !== true)
      lacking = report?.findings.find(({ level }) => level === "missing")?.what ?? "the probe says that whole machines do not run here";
    if (lacking !== undefined) return;
    const made = await run("sh", [join(CHECKOUT, "scripts/fixtures/boot-disk.sh"), join(work, "boot.raw")], {}, { timeoutMs: 240_000 });
    if (made.code !== 0) noDisk = `there is no disk to boot: ${made.stderr.trim()}`;
    else expect(await bulkhead("import", "--disk", join(work, "boot.raw"), "whole/boot:1")).toMatch(/^sha256:/);
  });
  afterAll(async () => {
    await daemon.close();
    rmSync(work, { recursive: true, force: true });
  });

  function require(context: TestContext, disk = false): void {
    const why = lacking ?? (disk ? noDisk : undefined);
    if (why === undefined) return;
    console.log(`whole machines: ${why}`);
    context.skip(why);
  }

  async function bulkhead(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await daemon.cli(...words);
    if (code !== 0) throw new Error(`bulkhead ${words.join(" ")}: ${stderr}`);
    return stdout.trim();
  }
  async function refusal(...words: string[]): Promise<string> {
    const { code, stderr } = await daemon.cli(...words);
    expect(code, words.join(" ")).not.toBe(0);
    return stderr;
  }
  async function until(what: string, look: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(100)) if (await look().catch(() => false)) return;
    throw new Error(`it did not come: ${what}\n${await bulkhead("logs", "whole").catch(String)}`);
  }
  const said = (words: string) => until(words, async () => (await bulkhead("logs", "whole")).includes(words));
  const state = async () => (await daemon.client.workloads.inspect("whole")).State;
  const disks = () => readdirSync(join(daemon.root, "images/disks"));

  it("runs a disk that switches itself off: its words are the log, its power-off the exit code 0", async (context) => {
    require(context);
    writeFileSync(join(work, "trial.raw"), trialDisk());
    await bulkhead("import", "--disk", join(work, "trial.raw"), "whole/trial:1");
    const { code, stdout } = await daemon.cli("run", "--rm", "--isolation", "vm", "--network", "none", "--memory", "64m", "whole/trial:1");
    expect(code).toBe(0);
    expect(stdout).toContain("bulkhead\r\n");
  });

  it("takes a qcow2 apart, keeps it as it came, and takes its disk away with it", async (context) => {
    require(context);
    const image = join(work, "trial.qcow2");
    execFileSync("qemu-img", ["convert", "-c", "-f", "raw", "-O", "qcow2", join(work, "trial.raw"), image]);
    await bulkhead("import", "--disk", image, "whole/qcow2:1");
    expect((await daemon.cli("run", "--rm", "--isolation", "vm", "--network", "none", "--memory", "64m", "whole/qcow2:1")).code).toBe(0);
    expect(disks()).toHaveLength(1);
    // Saved and loaded it is the same image.
    const id = await bulkhead("inspect", "whole/qcow2:1", "--format", "{{.Id}}");
    await bulkhead("save", "-o", join(work, "saved.tar"), "whole/qcow2:1");
    await bulkhead("rmi", "whole/qcow2:1");
    expect(disks()).toEqual([]);
    await bulkhead("load", "-q", "-i", join(work, "saved.tar"));
    expect(await bulkhead("inspect", "whole/qcow2:1", "--format", "{{.Id}}")).toBe(id);
    await bulkhead("rmi", "whole/qcow2:1");
  });

  it("refuses by its name an image that names a file of the host, which qemu-img itself would follow", async (context) => {
    require(context);
    const canary = join(work, "canary");
    writeFileSync(canary, `${"the canary sings".padEnd(512)}`, { mode: 0o600 });
    const backed = join(work, "backed.qcow2");
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-b", canary, "-F", "raw", backed]);
    // The control: without our guard its contents are in what is made of it.
    execFileSync("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", backed, join(work, "leaked")]);
    expect(execFileSync("head", ["-c", "16", join(work, "leaked")], { encoding: "utf8" })).toBe("the canary sings");
    const before = await bulkhead("images", "-q", "--no-trunc");
    expect(await refusal("import", "--disk", backed, "whole/backed:1")).toContain(`backing file, "${canary}"`);
    const outside = join(work, "outside.qcow2");
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-o", `data_file=${join(work, "data")},data_file_raw=on`, outside, "1M"]);
    expect(await refusal("import", "--disk", outside, "whole/outside:1")).toContain("data file");
    const vmdk = join(work, "other.vmdk");
    execFileSync("qemu-img", ["create", "-q", "-f", "vmdk", vmdk, "1M"]);
    expect(await refusal("import", "--disk", vmdk, "whole/vmdk:1")).toContain("VMDK");
    expect(await refusal("import", "--disk", canary, "whole/text:1")).toContain("no boot sector");
    // Its header is whole, and what it promises is not there.
    const whole = join(work, "whole.qcow2");
    execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", join(work, "trial.raw"), whole]);
    writeFileSync(whole, Buffer.concat([readFileSync(whole).subarray(0, 65_536), Buffer.alloc(400_000, 0x5a)]));
    expect(await refusal("import", "--disk", whole, "whole/damaged:1")).toContain("cannot be read");
    expect(await bulkhead("images", "-q", "--no-trunc")).toBe(before);
    expect(disks()).toEqual([]);
  });

  it("refuses by name what nobody inside could be told", async (context) => {
    require(context);
    const vm = (...words: string[]) => refusal("run", "--rm", "--isolation", "vm", ...words);
    expect(await vm("whole/trial:1", "ls")).toContain("no command");
    expect(await vm("-e", "A=b", "whole/trial:1")).toContain("environment");
    expect(await vm("-v", "/tmp:/x", "whole/trial:1")).toContain("directories of the host");
    expect(await vm("--pids-limit", "5", "whole/trial:1")).toContain("pids");
    expect(await vm("--storage-opt", "size=64k", "whole/trial:1")).toContain("cannot be smaller");
    expect(await refusal("run", "--rm", "--isolation", "container", "whole/trial:1")).toContain("choose the isolation vm");
  });

  it("boots, answers on a published port and at its line, is found again, stops by its power button, and keeps its disk", async (context) => {
    require(context, true);
    const before = daemon.traces();
    await bulkhead("run", "-d", "-i", "--name", "whole", "--isolation", "vm", "--memory", MEMORY, "--cpus", "2", "-p", "127.0.0.1::80", "whole/boot:1");
    const { Boundary } = await daemon.client.workloads.inspect("whole");
    expect(Boundary).toMatchObject({ kind: "vm", engine: "qemu" });
    await said("boot 1 of ");
    // Its limits are its size, as it sees them itself.
    expect(await bulkhead("logs", "whole")).toMatch(/boot 1 of 1[5-9]\d MiB, 2 processors/);
    const port = (await bulkhead("port", "whole", "80")).split(":").at(-1);
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("boot 1\n");
    const [use] = JSON.parse(`[${await bulkhead("stats", "--no-stream", "--format", "{{json .}}", "whole")}]`) as Record<string, string>[];
    expect(use?.["MemUsage"]).toMatch(/^\d.*MiB \/ \d/);

    expect(await refusal("exec", "whole", "true")).toMatch(/vm/);
    expect(await refusal("top", "whole")).toMatch(/vm/);
    expect(await refusal("kill", "-s", "USR1", "whole")).toContain("SIGUSR1");
    await bulkhead("pause", "whole");
    await bulkhead("unpause", "whole");

    await daemon.kill();
    await daemon.start();
    expect(await state()).toMatchObject({ Running: true });
    // At its line: the word is taken apart, so that the echo of what is typed is no answer.
    const line = await daemon.client.workloads.attach("whole", { stdin: true, terminal: false });
    await line.write(Buffer.from("echo ans''wer\n"));
    let heard = "";
    for await (const { bytes } of line.output) if ((heard += Buffer.from(bytes).toString()).includes("answer")) break;
    expect(heard).toContain("answer");
    line.close();
    await bulkhead("stop", "-t", "60", "whole");
    expect(await state()).toMatchObject({ Running: false, ExitCode: 0 });
    expect(await bulkhead("logs", "whole")).toContain("power button");

    await bulkhead("start", "whole");
    await said("boot 2 of ");
    await bulkhead("kill", "whole");
    expect(await state()).toMatchObject({ ExitCode: 137 });
    const [directory] = readdirSync(join(daemon.root, "workloads"));
    expect(statSync(join(daemon.root, "workloads", directory ?? "", "disk.qcow2")).size).toBeGreaterThan(0);
    await bulkhead("rm", "whole");
    expect(existsSync(join(daemon.root, "workloads", directory ?? ""))).toBe(false);
    expect(await daemon.settledTraces(before)).toEqual(before);
  });
});
