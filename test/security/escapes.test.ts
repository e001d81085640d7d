/**
 * Attempts to leave a workload. Each is carried out behind every boundary that this host has, with nothing but defaults, and must come to nothing; and
 * on a control so weakened that it must come through: else it would prove nothing. The tables are in vectors/.
 */

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { HostTraces } from "../harness/host-traces.ts";
import { findUnusable } from "../integration/chaos/inhabitants.ts";
import { Bed, type Target } from "./bed.ts";
import { BOUNDARIES, type Effect, type Vector } from "./vector.ts";
import { COPY_VECTORS } from "./vectors/copies.ts";
import { FILE_VECTORS } from "./vectors/files.ts";
import { KERNEL_VECTORS } from "./vectors/kernel.ts";
import { NETWORK_VECTORS } from "./vectors/network.ts";
import { PROCESS_VECTORS } from "./vectors/processes.ts";

const VECTORS = [...PROCESS_VECTORS, ...FILE_VECTORS, ...COPY_VECTORS, ...KERNEL_VECTORS, ...NETWORK_VECTORS];
const root = process.getuid?.() === 0;
if (!root) console.log("escapes: skipped, because the launcher needs root");

describe.skipIf(!root)("a workload cannot", () => {
  let bed: Bed;
  let standing: HostTraces;
  const targets: Target[] = [];

  beforeAll(async () => {
    bed = await Bed.open();
    const unusable = await findUnusable(bed.daemon);
    for (const isolation of BOUNDARIES) {
      const why = unusable.get(isolation);
      if (why === undefined) targets.push(await bed.raise(isolation, `target-${isolation}`));
      else console.log(`escapes: not tried behind ${isolation}, because ${why}`);
    }
    expect(targets.map(({ isolation }) => isolation)).toContain("container");
    standing = withoutStubs(bed.daemon.traces());
  });
  afterEach(async () => {
    bed.clean();
    await expect.poll(() => withoutStubs(bed.daemon.traces()), { timeout: 10_000, message: "nothing is left over" }).toEqual(standing);
  });
  afterAll(() => bed.close());

  for (const vector of VECTORS)
    it(`${vector.deed} (${vector.id}: ${vector.follows})`, async ({ skip }) => {
      const lacking = vector.needs?.(bed);
      if (lacking !== undefined) {
        console.log(`escapes: ${vector.id} skipped, because ${lacking}`);
        return skip(lacking);
      }
      for (const target of targets.filter(({ isolation }) => vector.meaningless?.[isolation] === undefined)) {
        const { reached, said } = await tryOn(bed, vector, target);
        expect.soft(reached, `behind ${target.isolation}: ${said.slice(-2000)}`).toBe(false);
        if (vector.told !== undefined && target.isolation === "container") expect.soft(said, "it is told why").toMatch(vector.told);
      }
      const { reached, said } = await tryControl(bed, vector);
      expect(reached, `on the control it must come through: ${said.slice(-2000)}`).toBe(true);
    });
});

/** gVisor keeps empty processes for address spaces that it may want again. */
function withoutStubs(traces: HostTraces): HostTraces {
  return { ...traces, processes: traces.processes.filter((line) => !/^exe \d+ of [0-9a-f]{64}: $/.test(line)) };
}

interface Outcome {
  readonly reached: boolean;
  readonly said: string;
}

async function tryOn(bed: Bed, vector: Vector, target: Target): Promise<Outcome> {
  const look = watch(bed, vector.effect, target);
  const script = vector.attempt(bed);
  const said = await (vector.carryOut?.(bed, target, script) ?? target.say(script));
  return { reached: await look(said), said };
}

async function tryControl(bed: Bed, vector: Vector): Promise<Outcome> {
  const { control } = vector;
  try {
    if ("host" in control) {
      const host = typeof control.host === "function" ? control.host(bed) : control.host;
      return await tryOn(bed, vector, await bed.raise("container", "control", host));
    }
    const look = watch(bed, vector.effect, undefined);
    const said = await control.own(bed, vector.attempt(bed));
    return { reached: await look(said), said };
  } finally {
    await bed.daemon.client.workloads.remove("control", { force: true }).catch(() => undefined);
  }
}

/** Looks at how things are; the answer says whether the attempt had its effect. */
function watch(bed: Bed, effect: Effect, target: Target | undefined): (said: string) => Promise<boolean> {
  if (effect === "secret") return async (said) => said.includes(bed.secret);
  if (effect === "program") return async (said) => bed.programsOfTheHost().some((file) => said.includes(`opened ${file}\n`));
  if (effect === "signal") return () => bed.victimEnded();
  // What was asked of a daemon takes a moment.
  if (effect === "mark") return () => settles(target?.name === "control" ? 200 : 6, () => readdirSync(bed.marks).length > 0);
  if ("seen" in effect) return async () => target !== undefined && (await effect.seen(bed, target));
  const before = readFileSync(effect.setting, "utf8");
  return async () => {
    const changed = readFileSync(effect.setting, "utf8") !== before;
    if (changed) writeFileSync(effect.setting, before);
    return changed;
  };
}

async function settles(tries: number, happened: () => boolean): Promise<boolean> {
  for (let tried = 0; tried < tries && !happened(); tried++) await new Promise((resolve) => setTimeout(resolve, 50));
  return happened();
}
