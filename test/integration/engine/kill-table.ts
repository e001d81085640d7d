/** The table of points at which a daemon is killed, walked story by story on one ground. */

import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { plainCall } from "../../../src/contract/call.ts";
import type { Engine, LogQuery } from "../../../src/engine/index.ts";
import type { OwnLauncher } from "../host/own-launcher.ts";
import { openEngine, type Ground } from "./ground.ts";
import { STORIES, TICKS } from "./stories.ts";

const call = plainCall();
const EVERYTHING: LogQuery = { stdout: true, stderr: true, follow: false, tail: undefined, sinceNs: undefined, untilNs: undefined };
const FULL = process.env["BULKHEAD_FULL"] !== undefined;

export interface Bed {
  readonly launcher: OwnLauncher;
  readonly ground: Ground;
}

export interface KillTableOptions {
  /** Asked once its tests run; a text says why this host has none. */
  readonly bed: () => Bed | string;
  /** How many points of each story are tried, evenly spread. Full runs try every one. */
  readonly points: number;
  /** How long after a step has begun the daemon dies within it. */
  readonly withinMs: readonly number[];
}

interface Death {
  readonly cut: string | undefined;
  readonly reached: readonly string[];
  readonly points: number;
}

/** Lets a daemon play the story and die at the point; resolves when it is gone. */
function playAndDie(play: { readonly ground: Ground; readonly story: string; readonly at: number; readonly withinMs: readonly number[] }): Promise<Death> {
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

async function logOf(engine: Engine, id: string): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const { bytes } of engine.logs(id, EVERYTHING, call)) lines.push(Buffer.from(bytes).toString().trim());
  return lines;
}

/** What was answered before the death must hold in the next life. */
async function expectPromises(engine: Engine, { reached }: Death): Promise<void> {
  const [view, ...more] = engine.list();
  expect(more).toEqual([]);
  const last = reached.at(-1);
  if (last === "removed") expect(view).toBeUndefined();
  else if (last === "started" || last === "stopped" || last === "ended") expect(view).toBeDefined();
  if (last === "started" && view?.process.command[0] === "sleep" && view.state !== "running") expect(view.exit?.code).toBe(137);
  if (view?.process.command[0] !== "sh" || view.startedAt === undefined) return;
  expect((await engine.wait(view.id, "not-running", call)).status.code).toBe(7);
  expect(await logOf(engine, view.id)).toEqual(Array.from({ length: TICKS }, (_, index) => `tick ${index + 1}`));
}

/** One test for each story: what was answered before the death holds after it, and nothing is left once all is removed. */
export function describeKillTable(options: KillTableOptions): void {
  describe.each(Object.keys(STORIES))("the daemon killed in: %s", (story) => {
    it("at any write and any step, leaves each workload wholly there or wholly gone", { timeout: FULL ? 3_600_000 : 280_000 }, async (context) => {
      const bed = options.bed();
      if (typeof bed === "string") return context.skip(bed);
      const { ground, launcher } = bed;
      const before = await launcher.traces();
      const { points } = await playAndDie({ ground, story, at: 0, withinMs: options.withinMs });
      expect(points).toBeGreaterThan(10);
      await clear(ground);
      expect(await launcher.traces()).toEqual(before);
      for (let at = 1; at <= points; at += FULL ? 1 : Math.max(1, Math.ceil(points / options.points))) {
        const death = await playAndDie({ ground, story, at, withinMs: options.withinMs });
        const place = `killed at point ${at} of ${points}: ${death.cut}, after: ${death.reached.join(", ")}`;
        await expectNextLife(bed, death, place);
        await clear(ground);
        expect(await settled(launcher, before), place).toEqual(before);
      }
    });
  });
}

async function expectNextLife({ ground, launcher }: Bed, death: Death, place: string): Promise<void> {
  const { engine, close } = openEngine(ground);
  await engine.recover(call);
  const running = engine.list().filter(({ state }) => state === "running").length;
  await expectPromises(engine, death).catch((thrown: unknown) => {
    throw new Error(place, { cause: thrown });
  });
  const ended = engine.list().filter(({ state }) => state === "running").length;
  await close();
  // A supervisor answers first and unmakes afterwards.
  if (running === ended) await expect.poll(async () => (await launcher.traces())["supervisors"]?.length, { message: place, timeout: 5000 }).toBe(running);
}

/** Traces once they are as `wanted`, or as they stay for two seconds. */
async function settled(launcher: OwnLauncher, wanted: object): Promise<object> {
  for (let tries = 0; tries < 40; tries++) {
    const now = await launcher.traces();
    if (JSON.stringify(now) === JSON.stringify(wanted)) return now;
    await sleep(50);
  }
  return launcher.traces();
}

/** Removes whatever is there, by a daemon that saw none of it begin. */
async function clear(ground: Ground): Promise<void> {
  const { engine, close } = openEngine(ground);
  await engine.recover(call);
  for (const { id } of engine.list()) await engine.remove(id, { force: true, volumes: true }, call);
  await close();
}
