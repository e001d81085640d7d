import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ShellPlace } from "./testkit/shell-place.ts";

let place: ShellPlace;
beforeEach(() => {
  place = new ShellPlace();
  place.write("cache/kept", "");
});
afterEach(() => {
  builds("end_builds $cache");
  place.remove();
});

const builds = (words: string) => place.run(`. scripts/builds.sh; cache=${place.path("cache")}; ${words}`);
const running = (words = "$cache") => builds(`running_builds ${words}`).stdout.trim().split("\n").filter(Boolean);
/** A build that has a child, tells both pids, and clears away what it had begun when it is ended. */
const WORKS = `'trap "rm -rf $1/half; exit 130" TERM; mkdir $1/half; sleep 1000 & echo $$ $! >$1/pids; wait' - $cache`;

async function begin(): Promise<readonly number[]> {
  expect(builds(`begin_build $cache /one sh -c ${WORKS}`).code).toBe(0);
  const pids = () => (existsSync(place.path("cache/pids")) ? readFileSync(place.path("cache/pids"), "utf8") : "");
  await vi.waitFor(() => expect(pids()).toMatch(/\n$/), { timeout: 8000, interval: 10 });
  return pids().trim().split(" ").map(Number);
}

function lives(pid: number): boolean {
  // One that has ended and that nobody has asked about yet lives no more.
  return existsSync(`/proc/${pid}`) && !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
}

test("a build in the background outlives who began it, and is found by its number", async () => {
  const [pid = 0, child = 0] = await begin();
  expect(running()).toEqual([String(pid)]);
  expect([lives(pid), lives(child)]).toEqual([true, true]);
});

test("ending the builds ends what they started, once they have cleared up, and leaves no word of them", async () => {
  const pids = await begin();
  expect(builds("end_builds $cache").code).toBe(0);
  expect(pids.map(lives)).toEqual([false, false]);
  expect(readdirSync(place.path("cache")).sort()).toEqual(["build.log", "kept", "pids"]);
});

test("the builds of one checkout are ended without those of another", async () => {
  const [pid = 0] = await begin();
  expect(running("$cache /another")).toEqual([]);
  expect(builds("end_builds $cache /another").code).toBe(0);
  expect(lives(pid)).toBe(true);
  builds("end_builds $cache /one");
  expect(lives(pid)).toBe(false);
});

test("a process that only has the number of a build is let be", () => {
  const other = spawn("sleep", ["1000"], { detached: true });
  try {
    writeFileSync(place.path(`cache/.build-${other.pid}`), "1\n/one\n");
    expect(running()).toEqual([]);
    writeFileSync(place.path(`cache/.build-${other.pid}`), "1\n/one\n");
    expect(builds("end_builds $cache").code).toBe(0);
    expect(lives(other.pid ?? 0)).toBe(true);
    expect(readdirSync(place.path("cache"))).toEqual(["kept"]);
  } finally {
    other.kill("SIGKILL");
  }
});

test("a build that ended before the moment of its beginning was seen is none that runs", () => {
  writeFileSync(place.path("cache/.build-4194304"), "\n/one\n");
  expect(running()).toEqual([]);
  expect(readdirSync(place.path("cache"))).toEqual(["kept"]);
});

test("where nothing was ever built there is nothing to end", () => {
  expect(builds("end_builds /nowhere/at/all")).toEqual({ code: 0, stdout: "", stderr: "" });
});

test("what set-up builds behind itself is written down, and uninstall ends it before its place goes", () => {
  const text = (name: string) => readFileSync(`scripts/${name}`, "utf8");
  for (const name of ["kernel/prepare.sh", "wasm-runner.sh"]) {
    expect(text(name)).toMatch(/^\s*begin_build "\$cache"/m);
    expect(text(name)).not.toMatch(/^\s*setsid/m);
  }
  const uninstall = text("uninstall.sh");
  for (const part of ["kernel", "wasm"]) {
    const ends = uninstall.indexOf(`end_builds /var/cache/bulkhead/${part}\n`);
    expect(ends).toBeGreaterThan(0);
    expect(ends).toBeLessThan(uninstall.indexOf("take_away /var/cache/bulkhead"));
  }
});
