/** A command for which the workload's own limits leave no room: what its caller is told, and that the remedy is one. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";
import { findUnusable } from "./chaos/inhabitants.ts";

let daemon: TestDaemon;
let unusable: ReadonlyMap<string, string>;
beforeAll(async () => {
  daemon = await TestDaemon.open();
  unusable = await findUnusable(daemon);
});
afterAll(() => daemon.close());

const FULL = "sleep 1000 & sleep 1000 & sleep 1000 & echo full; wait";
/** In /dev/shm, so that it is nobody's to be killed for. */
const HOLDING = "dd if=/dev/zero of=/dev/shm/held bs=1k count=8000 2>/dev/null; echo held; exec sleep 1000";

async function runUntilSaid(word: string, ...words: string[]): Promise<void> {
  expect(await daemon.cli("run", "-d", ...words)).toMatchObject({ code: 0 });
  await expect.poll(async () => (await daemon.cli("logs", "limited")).stdout, { timeout: 30_000 }).toContain(word);
}

describe.each(["container", "microvm"])("at the limit of processes, behind %s", (isolation) => {
  it("exec says which limit and what to do, and exits with 126 like docker's; with more room it runs", async (context) => {
    if (unusable.has(isolation)) return context.skip(unusable.get(isolation));
    try {
      await runUntilSaid("full", "--name", "limited", "--pids-limit", "20", "--isolation", isolation, "busybox", "sh", "-c", FULL);
      // Only now: what helps it to start would be counted too.
      expect(await daemon.cli("update", "--pids-limit", "4", "limited")).toMatchObject({ code: 0 });
      for (const client of [daemon.cli.bind(daemon), daemon.docker.bind(daemon)]) {
        const outcome = await client("exec", "limited", "true");
        expect(outcome, outcome.stderr).toMatchObject({ code: 126, stdout: expect.stringContaining("at its limit of 4 processes") as unknown });
        expect(outcome.stdout).toContain("bulkhead update --pids-limit");
      }
      const detached = await daemon.cli("exec", "-d", "limited", "true");
      expect(detached).toMatchObject({ code: 1, stderr: expect.stringMatching(/limit of 4 processes[^]*Remedy: .*--pids-limit/) as unknown });
      expect(await daemon.cli("update", "--pids-limit", "20", "limited")).toMatchObject({ code: 0 });
      expect(await daemon.cli("exec", "limited", "true")).toMatchObject({ code: 0 });
    } finally {
      await daemon.cli("rm", "-f", "limited");
    }
  });
});

it("at the limit of memory, exec says so and what to do, and exits with 126", async () => {
  try {
    await runUntilSaid("held", "--name", "limited", "--memory", "32m", "busybox", "sh", "-c", HOLDING);
    let used = 0;
    for await (const { memory_stats } of daemon.client.workloads.stats("limited", { stream: false })) used = memory_stats.usage ?? 0;
    expect(await daemon.cli("update", "--memory", String(used + 8192), "limited")).toMatchObject({ code: 0 });
    const outcome = await daemon.cli("exec", "limited", "true");
    expect(outcome, outcome.stderr).toMatchObject({
      code: 126,
      stdout: expect.stringMatching(/memory limit of \d+ bytes[^]*bulkhead update --memory/) as unknown,
    });
  } finally {
    await daemon.cli("rm", "-f", "limited");
  }
});
