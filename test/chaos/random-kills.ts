/**
 * SIGKILL to the daemon at random times, under a load of creates, runs, execs, stops and removes on every usable boundary. After each
 * restart: every workload is wholly there or wholly gone, logs are whole, exit codes true, and at the end nothing is left.
 *
 *     node test/chaos/random-kills.ts [--kills 300] [--seed N] [--workers 4] [--out docs/series/random-kills.json]
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { TestDaemon } from "../harness/daemon.ts";
import { NO_TRACES } from "../harness/host-traces.ts";
import { checkWorkloads, LASTING } from "./checks.ts";
import { Load, randomOf } from "./load.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "300" },
    seed: { type: "string", default: `${Date.now() % 1_000_000}` },
    workers: { type: "string", default: "4" },
    out: { type: "string" },
  },
});
const kills = Number(values.kills);
const random = randomOf(Number(values.seed));
const NOTHING = JSON.stringify(NO_TRACES);

interface Round {
  readonly lifeMs: number;
  readonly restartMs: number;
  /** After how long the restart was killed as well. */
  readonly diedStartingMs?: number;
  readonly deeds: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
}

const daemon = await TestDaemon.open();
const rounds: Round[] = [];
let leaks: readonly string[] = ["the kills did not come to their end"];
let usable: readonly string[] = [];
const notUsable: Record<string, string> = {};
const began = Date.now();
/** Told to end, it ends in order: with what it has found so far, and nothing left behind. */
let over = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => (over = true));
try {
  const probes = await daemon.client.system.probes();
  // What it raises runs commands of an image; wasm instances and whole machines have kills of their own (wasm-conformance.test.ts, vm.test.ts).
  usable = probes.filter((probe) => probe.usable && probe.facets.includes("exec")).map(({ kind }) => kind);
  for (const { kind, findings } of probes.filter((probe) => !probe.usable))
    notUsable[kind] = findings.find(({ level }) => level === "missing")?.what ?? "it cannot be used here";
  for (const [kind, reason] of Object.entries(notUsable)) console.log(`without ${kind}: ${reason}`);
  await killAll();
  leaks = await findLeaks();
} catch (thrown) {
  leaks = [`the kills were not carried through: ${String(thrown)}; the daemon's last words: ${daemon.output.slice(-2000)}`];
} finally {
  for (const leak of leaks) console.log(`left over: ${leak}`);
  report();
  await daemon.close();
}

async function killAll(): Promise<void> {
  const lasting = new Map((await Promise.all(usable.map(beginLasting))).map(({ id, pid }) => [id, pid]));
  const load = new Load(daemon, { usable, random, workers: Number(values.workers), lasting: [...lasting.keys()] });
  for (let kill = 1; kill <= kills && !over; kill++) {
    // Most in the middle of short work; some late enough for a machine to have booted.
    const lifeMs = Math.floor(random() * (random() < 0.8 ? 1200 : 4000));
    load.begin();
    await sleep(lifeMs);
    await daemon.kill();
    const { deeds, faults: answeredWrongly } = await load.end();
    const killedAt = Date.now();
    const diedStartingMs = random() < 0.2 ? Math.floor(random() * 400) : undefined;
    if (diedStartingMs !== undefined) await daemon.dieStarting(diedStartingMs);
    await daemon.start();
    const restartMs = Date.now() - killedAt;
    const faults = [...answeredWrongly, ...(await checkWorkloads(daemon, { lasting, ledger: load.ledger, settled: kill % 25 === 0 }))];
    rounds.push({ lifeMs, restartMs, ...(diedStartingMs === undefined ? {} : { diedStartingMs }), deeds, faults });
    const again = diedStartingMs === undefined ? "" : ` and again while starting, after ${diedStartingMs} ms`;
    for (const fault of faults) console.log(`kill ${kill}, at ${new Date(killedAt).toISOString()}${again}: ${fault}`);
    if (kill % 10 === 0)
      console.log(`${kill} of ${kills} kills, ${rounds.flatMap((round) => round.faults).length} faults, ${Math.round((Date.now() - began) / 1000)} s`);
  }
}

async function beginLasting(isolation: string): Promise<{ readonly id: string; readonly pid: number }> {
  const { workloads } = daemon.client;
  const document = { Image: "busybox", Cmd: [...LASTING], HostConfig: { Isolation: isolation } };
  const { Id } = await workloads.create(document, { name: `lasting-${isolation}` });
  await workloads.start(Id);
  return { id: Id, pid: (await workloads.inspect(Id)).State.Pid };
}

/** Everything removed through the API; what stands after that on the host. */
async function findLeaks(): Promise<string[]> {
  for (const { Id } of await daemon.client.workloads.list({ all: true })) await daemon.client.workloads.remove(Id, { force: true, volumes: true });
  // A probe that is under way has a machine of its own.
  await daemon.client.system.probes();
  const traces = await daemon.settledTraces(JSON.parse(NOTHING) as ReturnType<TestDaemon["traces"]>);
  return Object.entries(traces).flatMap(([kind, found]) => (found as readonly string[]).map((one) => `${kind}: ${one}`));
}

function report(): void {
  const faults = rounds.flatMap((round) => round.faults).length;
  const restarts = rounds.map(({ restartMs }) => restartMs).toSorted((a, b) => a - b);
  const deeds: Record<string, number> = {};
  for (const round of rounds) for (const [name, count] of Object.entries(round.deeds)) deeds[name] = (deeds[name] ?? 0) + count;
  const summary = {
    schemaVersion: 1,
    command: `node test/chaos/random-kills.ts --kills ${kills} --seed ${values.seed} --workers ${values.workers}`,
    version: (JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8")) as { version: string }).version,
    at: new Date(began).toISOString(),
    seconds: Math.round((Date.now() - began) / 1000),
    boundaries: usable,
    notUsable,
    kills: rounds.length,
    killedAgainWhileStarting: rounds.filter(({ diedStartingMs }) => diedStartingMs !== undefined).length,
    deeds,
    faults,
    leaks,
    restartMs: { p50: restarts[Math.floor(restarts.length / 2)], p95: restarts[Math.floor(restarts.length * 0.95)], max: restarts.at(-1) },
    rounds,
  };
  if (values.out !== undefined) {
    mkdirSync(dirname(values.out), { recursive: true });
    writeFileSync(values.out, `${JSON.stringify(summary)}\n`);
  }
  console.log(JSON.stringify({ ...summary, rounds: rounds.length }, null, 2));
  const passed = rounds.length === kills && faults + leaks.length === 0;
  console.log(`${rounds.length} kills, ${faults} faults, ${leaks.length} left over: ${passed ? "passed" : "FAILED"}`);
  process.exitCode = passed ? 0 : 1;
}
