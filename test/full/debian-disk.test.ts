/**
 * A Debian with systemd on a disk of its own behind the boundary vm: made here, imported as a qcow2, booted by its own boot loader. Making it takes
 * debootstrap and two minutes, booting it emulated another: the long suite does both, `npm test` says that it does not.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { CHECKOUT, run, TestDaemon } from "../harness/daemon.ts";

const FULL = process.env.BULKHEAD_FULL === "1";
if (!FULL) console.log("Debian on its own disk: left to the long suite, sh scripts/test-full.sh disk");
/** A busy, emulated host may take long: nothing here measures. */
const PATIENCE_MS = 600_000;

test.skipIf(!FULL)(
  "a Debian with systemd boots from its disk, has a login at its line and a network, powers off when told, and keeps what it wrote",
  { timeout: 3 * PATIENCE_MS },
  async () => {
    const work = mkdtempSync("/tmp/bulkhead-debian-");
    const daemon = await TestDaemon.open({ image: false });
    onTestFinished(async () => {
      await daemon.close();
      rmSync(work, { recursive: true, force: true });
    });
    const disk = join(work, "debian.qcow2");
    const made = await run("sh", [join(CHECKOUT, "scripts/fixtures/debian-disk.sh"), disk], {}, { timeoutMs: PATIENCE_MS });
    expect(made.code, made.stderr).toBe(0);
    const bulkhead = async (...words: string[]): Promise<string> => {
      const { code, stdout, stderr } = await daemon.cli(...words);
      expect(code, `bulkhead ${words.join(" ")}: ${stderr}`).toBe(0);
      return stdout.trim();
    };
    const said = async (words: string): Promise<void> => {
      const end = Date.now() + PATIENCE_MS;
      while (!(await bulkhead("logs", "debian")).includes(words)) {
        if (Date.now() > end) throw new Error(`it did not say ${words}: ${(await bulkhead("logs", "debian")).slice(-2000)}`);
        await sleep(500);
      }
    };
    await bulkhead("import", "--disk", disk, "debian/disk:12");
    await bulkhead("run", "-d", "-i", "--name", "debian", "--isolation", "vm", "--memory", "512m", "--cpus", "2", "-p", "127.0.0.1::80", "debian/disk:12");
    // What stands before its prompt, which has no end of line and so is in no log yet.
    await said("Debian GNU/Linux 12 debian-disk ttyS0");
    await said("boot 1");
    const served = async (): Promise<string> => {
      const port = (await bulkhead("port", "debian", "80")).split(":").at(-1);
      for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(500)) {
        const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
        if (answer !== undefined) return await answer.text();
      }
      throw new Error("nobody answers on the published port");
    };
    expect(await served()).toBe("boot 1\n");
    // The first reboot is the system's own wish: the machine goes on.
    const line = await daemon.client.workloads.attach("debian", { stdin: true, terminal: false });
    await line.write(Buffer.from("root\n"));
    await sleep(3000);
    await line.write(Buffer.from("systemctl reboot\n"));
    line.close();
    await said("boot 2");
    expect(await served()).toBe("boot 2\n");
    await bulkhead("stop", "-t", "300", "debian");
    expect((await daemon.client.workloads.inspect("debian")).State).toMatchObject({ Running: false, ExitCode: 0 });
    await bulkhead("start", "debian");
    await said("boot 3");
    expect(await served()).toBe("boot 3\n");
    await bulkhead("rm", "-f", "debian");
  },
);
