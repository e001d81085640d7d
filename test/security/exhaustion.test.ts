/** Workloads that take what they get: each runs into its limit, and a neighbour and the daemon answer meanwhile. The table is in vectors/exhaustion.ts. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { HostConfig } from "@bulkhead/sdk";
import type { HostTraces } from "../harness/host-traces.ts";
import { findUnusable, Inhabitants } from "../integration/chaos/inhabitants.ts";
import { Bed, type Target } from "./bed.ts";
import { type Attacked, BOUNDARIES } from "./vector.ts";
import { type Abuse, ABUSES, MEMORY } from "./vectors/exhaustion.ts";

const root = process.getuid?.() === 0;
if (!root) console.log("exhaustion: skipped, because the launcher needs root");
const FULL = process.env["BULKHEAD_FULL"] === "1";
/** Behind the others the suite that every boundary passes shows the limits themselves (src/contract/testkit/cases/limits.ts). */
const SHORT = ["container"] as const;
/** For one answer, on whatever machine. */
const PATIENCE_MS = 20_000;

describe.skipIf(!root)("a workload cannot take", () => {
  let bed: Bed;
  let neighbour: Target;
  let standing: HostTraces;
  let unusable: ReadonlyMap<string, string>;
  let usable: Attacked[] = [];

  beforeAll(async () => {
    bed = await Bed.open();
    unusable = await findUnusable(bed.daemon);
    usable = (FULL ? BOUNDARIES : SHORT).filter((isolation) => !unusable.has(isolation));
    neighbour = await bed.raise("container", "neighbour");
    standing = bed.daemon.traces();
  });
  afterEach(async () => {
    await expect.poll(() => bed.daemon.traces(), { timeout: 10_000, message: "nothing is left over" }).toEqual(standing);
  });
  afterAll(() => bed.close());

  for (const abuse of ABUSES)
    it(`${abuse.deed} (${abuse.id}), and does without one; a neighbour and the daemon go on`, async () => {
      for (const isolation of usable) expect.soft(await carryOut(abuse, isolation, abuse.limits), `behind ${isolation}`).toBeLessThanOrEqual(abuse.most);
      expect(await carryOut(abuse, "container", {}), "on the control").toBeGreaterThanOrEqual(abuse.without);
    });

  it("its neighbours with it when it brings its machine's kernel to panic (guest-panic)", async ({ skip }) => {
    const why = unusable.get("microvm");
    if (why !== undefined) {
      console.log(`exhaustion: guest-panic skipped, because ${why}`);
      return skip(why);
    }
    const machine = await bed.raise("microvm", "machine");
    const { inhabitants } = machine;
    const host: HostConfig = { Privileged: true, Memory: MEMORY, MemorySwap: MEMORY };
    await inhabitants.run("panicking", ["sh", "-c", "echo 2 >/proc/sys/vm/panic_on_oom; bomb memory 200; echo made"], host, { Image: "attempts" });
    expect(await inhabitants.wait("panicking")).toBe(137);
    const { Error: told, OOMKilled } = await inhabitants.state("panicking");
    expect(told).toContain("Kernel panic");
    expect(OOMKilled).toBe(false);
    expect(await inhabitants.log("panicking")).not.toContain("made");
    expect(await machine.say("echo goes on")).toBe("goes on\n");
    expect(await answer()).toBe("goes on\n");
    await inhabitants.remove("panicking", "machine");
  });

  async function carryOut(abuse: Abuse, isolation: Attacked, host: HostConfig): Promise<number> {
    const inhabitants = new Inhabitants(bed.daemon, isolation);
    const id = await inhabitants.run("greedy", ["sh", "-c", abuse.attempt], host, { Image: "attempts" });
    try {
      let ended = false;
      const end = inhabitants.wait("greedy").finally(() => (ended = true));
      do expect(await answer(), "the neighbour answers").toBe("goes on\n");
      while (!ended);
      await end;
      return await abuse.came(bed, inhabitants, id);
    } finally {
      await inhabitants.remove("greedy");
    }
  }

  async function answer(): Promise<string> {
    const late = new Promise<string>((resolve) => setTimeout(() => resolve("nothing in time"), PATIENCE_MS).unref());
    await bed.daemon.client.system.ping();
    return Promise.race([neighbour.say("echo goes on"), late]);
  }
});
