/** SIGKILL to the daemon at every point of its work, on the real driver: each workload is wholly there or wholly gone. */

import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { plainCall } from "../../src/contract/call.ts";
import type { Engine, LogQuery } from "../../src/engine/index.ts";
import { openEngine, type Ground } from "./engine/ground.ts";
import { STORIES, TICKS } from "./engine/stories.ts";
import { openOwnLauncher, type OwnLauncher } from "./host/own-launcher.ts";

const call = plainCall();
const BUSYBOX = "/bin/busybox";
const EVERYTHING: LogQuery = { stdout: true, stderr: true, follow: false, tail: undefined, sinceNs: undefined, untilNs: undefined };
/** How many points are tried of each story; the table is walked from a different offset in full runs. */
const STRIDE = process.env.BULKHEAD_FULL === undefined ? 3 : 1;

let launcher: OwnLauncher | undefined;
let ground: Ground;
let unavailable = "";
beforeAll(async () => {
  if (!existsSync(BUSYBOX)) return void (unavailable = "busybox-static is not installed");
  const own = await openOwnLauncher("kill");
  if ("unavailable" in own) return void (unavailable = own.unavailable);
  launcher = own;
  const layer = join(own.root, "layer");
  for (const directory of ["bin", "etc", "tmp", "root", "proc", "sys", "dev"]) mkdirSync(join(layer, directory), { recursive: true });
  copyFileSync(BUSYBOX, join(layer, "bin/busybox"));
  for (const applet of ["sh", "echo", "sleep"]) symlinkSync("busybox", join(layer, "bin", applet));
  writeFileSync(join(layer, "etc/passwd"), "root:x:0:0::/root:/bin/sh\n");
  ground = { root: own.root, sockets: own.sockets, launcher: join(own.root, "run/launcher.sock"), layer };
});
afterAll(async () => launcher?.close());

interface Death {
  readonly cut: string | undefined;
  readonly reached: readonly string[];
  readonly points: number;
}

/** Lets a daemon play the story and die at the point; resolves when it is gone. */
function playAndDie(story: string, at: number): Promise<Death> {
  const program = join(import.meta.dirname, "engine/victim.ts");
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [program, JSON.stringify({ ground, story, at })], { timeout: 60_000 }, (error, stdout, stderr) => {
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

describe.each(Object.keys(STORIES))("the daemon killed in: %s", (story) => {
  it("at any write and any step, leaves each workload wholly there or wholly gone", { timeout: 280_000 }, async (context) => {
    if (launcher === undefined) return context.skip(unavailable);
    const before = await launcher.traces();
    const { points } = await playAndDie(story, 0);
    expect(points).toBeGreaterThan(10);
    await clear();
    expect(await launcher.traces()).toEqual(before);
    for (let at = 1; at <= points; at += STRIDE) {
      const death = await playAndDie(story, at);
      const { engine, close } = openEngine(ground);
      await engine.recover(call);
      const running = engine.list().filter(({ state }) => state === "running").length;
      const place = `killed at point ${at}: ${death.cut}, after: ${death.reached.join(", ")}`;
      await expectPromises(engine, death).catch((thrown: unknown) => {
        throw new Error(place, { cause: thrown });
      });
      const ended = engine.list().filter(({ state }) => state === "running").length;
      await close();
      // A supervisor answers first and unmakes afterwards.
      if (running === ended) await expect.poll(async () => (await launcher?.traces())?.supervisors?.length, { message: place, timeout: 5000 }).toBe(running);
      await clear();
      expect(await launcher.traces(), place).toEqual(before);
    }
  });
});

/** Removes whatever is there, by a daemon that saw none of it begin. */
async function clear(): Promise<void> {
  const { engine, close } = openEngine(ground);
  await engine.recover(call);
  for (const { id } of engine.list()) await engine.remove(id, { force: true, volumes: true }, call);
  await close();
}
