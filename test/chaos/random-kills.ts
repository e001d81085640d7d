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
const NOTHING = JSON.stringify({ processes: [], mounts: [], cgroups: [], interfaces: [], firewall: [], files: [] });

interface Round {
  readonly lifeMs: number;
  readonly restartMs: number;
  readonly deeds: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
}

const daemon = await TestDaemon.open();
const usable = (await daemon.client.system.probes()).filter((probe) => probe.usable).map(({ kind }) => kind);
const lasting = await Promise.all(
  usable.map(async (isolation) => {
    const { Id } = await daemon.client.workloads.create(
      { Image: "busybox", Cmd: [...LASTING], HostConfig: { Isolation: isolation } },
      { name: `lasting-${isolation}` },
    );
    await daemon.client.workloads.start(Id);
    return Id;
  }),
);
const load = new Load(daemon, { usable, random, workers: Number(values.workers) });
const rounds: Round[] = [];
const began = Date.now();
for (let kill = 1; kill <= kills; kill++) {
  const lifeMs = Math.floor(random() * 1200);
  load.begin();
  await sleep(lifeMs);
  await daemon.kill();
  const deeds = await load.end();
  const killedAt = Date.now();
  await daemon.start();
  const restartMs = Date.now() - killedAt;
  const faults = await checkWorkloads(daemon, { lasting, ended: load.ended });
  rounds.push({ lifeMs, restartMs, deeds, faults });
  for (const fault of faults) console.log(`kill ${kill}: ${fault}`);
  if (kill % 10 === 0)
    console.log(`${kill} of ${kills} kills, ${rounds.flatMap((round) => round.faults).length} faults, ${Math.round((Date.now() - began) / 1000)} s`);
}
const leaks = await findLeaks();
for (const leak of leaks) console.log(`left over: ${leak}`);
await daemon.close();
report();

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
    kills,
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
  console.log(`${kills} kills, ${faults} faults, ${leaks.length} left over: ${faults + leaks.length === 0 ? "passed" : "FAILED"}`);
  process.exitCode = faults + leaks.length === 0 ? 0 : 1;
}
