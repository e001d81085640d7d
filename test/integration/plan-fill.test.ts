/** A plan's word about this host, and what really fits: containers of a fixed resident size until so much memory is gone. */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";

const MIB = 1024 * 1024;
const BUDGET = 4096 * MIB;
const EACH = 128 * MIB;
const root = process.getuid?.() === 0;

function available(): number {
  return Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1] ?? 0) * 1024;
}

/** Memory that others take meanwhile would count as ours: the long suite is run alone. */
const why = !root
  ? "the launcher needs root"
  : process.env["BULKHEAD_FULL"] !== "1"
    ? "it counts the host's memory: npm run test:full"
    : available() < 2 * BUDGET
      ? "less than 8 GiB of memory are available here"
      : "";
if (why !== "") console.log(`plan-fill: skipped, because ${why}`);

describe.skipIf(why !== "")("a plan for this host", () => {
  let daemon: TestDaemon;
  beforeAll(async () => {
    daemon = await TestDaemon.open();
  });
  afterAll(() => daemon.close());

  it("says within a tenth how many instances of a fixed resident size fit a stated amount of memory", async () => {
    const question = { workloads: [{ name: "fixed", count: 1, isolation: "container", requirements: { size: { memoryBytes: EACH, cpus: 0.001 } } }] };
    const host = { cpus: 1000, memoryBytes: BUDGET, diskBytes: 1e15, reservedMemoryBytes: 0 };
    const predicted = (await daemon.client.planner.plan({ ...question, host })).mixed?.assignments[0]?.perHost ?? 0;
    expect(predicted).toBeGreaterThan(10);
    const before = available();
    let real = 0;
    // What lies in its /dev/shm is resident and of a known size.
    for (; before - available() < BUDGET && real < 2 * predicted; real++) {
      const script = `head -c ${EACH} /dev/zero >/dev/shm/held && echo held && sleep 600`;
      const HostConfig = { NetworkMode: "none", ShmSize: 2 * EACH };
      const { Id } = await daemon.client.workloads.create({ Image: "busybox", Cmd: ["sh", "-c", script], HostConfig });
      await daemon.client.workloads.start(Id);
      await expect.poll(async () => (await daemon.cli("logs", Id)).stdout, { timeout: 20_000, interval: 10 }).toBe("held\n");
    }
    expect(Math.abs(real - predicted) / real, `${predicted} predicted, ${real} fit`).toBeLessThan(0.1);
  }, 120_000);
});
