/** The table of points at which a daemon is killed, walked story by story on one ground. */

import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { plainCall } from "../../../src/contract/call.ts";
import { readTraces } from "../../harness/host-traces.ts";
import type { OwnLauncher } from "../host/own-launcher.ts";
import { expectEqual, poll } from "./findings.ts";
import { openEngine, type Ground } from "./ground.ts";
import { expectAlive, STORIES, type Story } from "./stories.ts";
import type { Play } from "./victim.ts";

const call = plainCall();
const FULL = process.env["BULKHEAD_FULL"] !== undefined;
/** Enough to see what is wrong. */
const MOST_FAULTS = 8;

export interface Bed {
  readonly launcher: OwnLauncher;
  readonly ground: Ground;
}

export interface KillTableOptions {
  /** Asked once its tests run; a text says why this host has none. */
  readonly bed: () => Bed | string;
  /** How many points of each story are tried, evenly spread. Full runs try every one. */
  readonly points: number;
  /** How long after a step has begun the daemon dies within it; in a full run also these. */
  readonly withinMs: readonly number[];
  readonly alsoWithinMs: readonly number[];
}

interface Death {
  readonly cut: string | undefined;
  readonly reached: readonly string[];
  readonly points: number;
}

/** One test for each story: what was answered before the death holds after it, and nothing is left once all is removed. */
export function describeKillTable(options: KillTableOptions): void {
  describe.each(Object.entries(STORIES))("the daemon killed in: %s", (name, story) => {
    it("at any write and any step, leaves each workload wholly there or wholly gone", { timeout: FULL ? 3_600_000 : 280_000 }, async (context) => {
      const bed = options.bed();
      if (typeof bed === "string") return context.skip(bed);
      const play: Omit<Play, "at"> = { ground: bed.ground, story: name, withinMs: FULL ? [...options.withinMs, ...options.alsoWithinMs] : options.withinMs };
      const before = await settleBed(bed);
      const { points } = await playAndDie({ ...play, at: 0 });
      await clear(bed);
      expect(await settled(bed, before)).toEqual(before);
      const faults: string[] = [];
      const tried = everyOf(points, FULL ? points : options.points);
      for (const at of tried) {
        const fault = await tryPoint(bed, { story, play: { ...play, at }, before });
        if (fault !== undefined) faults.push(`point ${at} of ${points}, ${fault}`);
        if (faults.length === MOST_FAULTS) break;
      }
      expect(faults).toEqual([]);
      if (FULL) console.log(`${name}: killed at each of ${points} points`);
    });
  });
}

function everyOf(points: number, wanted: number): number[] {
  expect(points, "the story has points to die at").toBeGreaterThan(10);
  const step = Math.max(1, Math.ceil(points / wanted));
  return Array.from({ length: Math.ceil(points / step) }, (_, index) => 1 + index * step);
}

/** The bridge stands from the first workload on; whatever else is there before is not ours to explain. */
async function settleBed(bed: Bed): Promise<object> {
  const { networks, close } = await openEngine(bed.ground);
  await networks.join("first", "bridge", [], call);
  networks.leave("first");
  await close();
  return traces(bed);
}

/** One death and what comes after it; resolves with what does not hold. */
async function tryPoint(bed: Bed, { story, play, before }: { story: Story; play: Play; before: object }): Promise<string | undefined> {
  const death = await playAndDie(play);
  const place = `${death.cut ?? "not reached"} (after: ${death.reached.join(", ")})`;
  const told = (thrown: unknown) => `${place}: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  let fault = await expectNextLife(bed, story, death).then(() => undefined, told);
  fault ??= await clear(bed).then(() => undefined, told);
  const after = await settled(bed, before);
  if (JSON.stringify(after) !== JSON.stringify(before)) fault ??= `${place}: left over: ${JSON.stringify(after)}`;
  // The next point begins on clean ground, whatever this one left.
  if (fault !== undefined) await clear(bed).catch(() => undefined);
  return fault;
}

/** Lets a daemon play the story and die at the point; resolves when it is gone. */
function playAndDie(play: Play): Promise<Death> {
  const program = join(import.meta.dirname, "victim.ts");
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [program, JSON.stringify(play)], { timeout: 60_000 }, (error, stdout, stderr) => {
      const lines = stdout.trim().split("\n");
      const after = (word: string) => lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));
      const [cut] = after("cut");
      if (error !== null && cut === undefined) reject(new Error(`the daemon failed by itself: ${stdout}${stderr}`));
      else resolve({ cut, reached: after("reached"), points: Number(after("points")[0] ?? 0) });
    });
  });
}

async function expectNextLife({ ground, launcher }: Bed, story: Story, { reached }: Death): Promise<void> {
  const { engine, close } = await openEngine(ground);
  try {
    await engine.recover(call);
    const [view, ...more] = engine.list();
    expectEqual("the number of further workloads", more.length, 0);
    await story.expectAfter({ engine, view, last: reached.at(-1) });
    // A supervisor answers first and unmakes afterwards.
    const balance = async () => {
      const standing = (await launcher.traces())["supervisors"]?.length ?? 0;
      return standing - engine.list().filter(({ state }) => state === "running").length;
    };
    await poll("what stands beyond what is said to run", balance, 0);
    await expectAlive(engine, story.mayBeEnding?.(reached.at(-1)) ?? false);
  } finally {
    await close();
  }
}

/** Removes whatever is there, by a daemon that saw none of it begin; rejects where that leaves reservations or volumes. */
async function clear({ ground }: Bed): Promise<void> {
  const { engine, networks, volumes, close } = await openEngine(ground);
  try {
    await engine.recover(call);
    for (const { id } of engine.list()) await engine.remove(id, { force: true, volumes: true }, call);
    expectEqual("the list", engine.list(), []);
    expectEqual("who holds an address", networks.get("bridge").members, []);
    const kept = volumes.list().map(({ name }) => name);
    for (const name of kept) await volumes.remove(name, call);
    expectEqual("the volumes that are left", kept, []);
    expectEqual("the directories of volumes that are left", readdirSync(join(ground.root, "volumes")), []);
  } finally {
    await close();
  }
}

async function traces({ launcher, ground }: Bed): Promise<object> {
  const { rootId } = await launcher.client.hello();
  return { ...(await launcher.traces()), firewall: readTraces({ root: ground.root, rootId }).firewall };
}

/** Traces once they are as `wanted`, or as they stay for two seconds. */
async function settled(bed: Bed, wanted: object): Promise<object> {
  for (let tries = 0; tries < 40; tries++) {
    const now = await traces(bed);
    if (JSON.stringify(now) === JSON.stringify(wanted)) return now;
    await sleep(50);
  }
  return traces(bed);
}
