/** A volume that is used for the first time holds what the image has in its place, behind every boundary. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";

const root = process.getuid?.() === 0;
if (!root) console.log("volume-fill: skipped, because the launcher needs root");

describe.skipIf(!root)("volumes on first use", () => {
  let daemon: TestDaemon;
  beforeAll(async () => {
    daemon = await TestDaemon.open();
  });
  afterAll(() => daemon.close());

  const inside = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await daemon.cli("run", "--rm", ...words);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    return stdout.trim();
  };
  const COUNT = ["busybox", "sh", "-c", "ls /bin | wc -l; stat -c %a:%u /bin"];

  for (const isolation of ["container", "microvm"]) {
    it(`get the image's files behind ${isolation}, and nothing with nocopy`, async () => {
      const plain = await inside("--isolation", isolation, ...COUNT);
      expect(await inside("--isolation", isolation, "-v", `filled-${isolation}:/bin`, ...COUNT)).toBe(plain);
      expect(await inside("--isolation", isolation, "-v", `empty-${isolation}:/etc:nocopy`, "busybox", "ls", "-A", "/etc/passwd").catch(() => "")).toBe("");
    });

    it(`keep what a workload has changed in them behind ${isolation}`, async () => {
      const volume = `kept-${isolation}:/etc`;
      await inside("--isolation", isolation, "-v", volume, "busybox", "sh", "-c", "rm /etc/passwd; echo mine > /etc/mine");
      expect(await inside("--isolation", isolation, "-v", volume, "busybox", "sh", "-c", "test ! -e /etc/passwd && cat /etc/mine")).toBe("mine");
    });
  }

  it("are counted on disk, and leave nothing when their workload removes itself", async () => {
    expect(await inside("-v", "/bin", ...COUNT)).toBe(await inside(...COUNT));
    const { stdout } = await daemon.cli("volume", "ls", "-q", "--filter", "dangling=true");
    expect(stdout.split("\n").filter((name) => /^[0-9a-f]{64}$/.test(name))).toEqual([]);
    const id = (await daemon.cli("create", "busybox", "true")).stdout.trim();
    const written = await daemon.client.workloads.list({ all: true, size: true });
    expect(written.find(({ Id }) => Id === id)?.SizeRw).toBeTypeOf("number");
    const pruned = await daemon.cli("volume", "prune", "--all", "--force");
    expect(pruned.stdout).toMatch(/Total reclaimed space: [1-9]/);
  });
});
