/** What users of every tool of this kind do all day, measured alike for each: the same image, words and order, interleaved. */

import { setTimeout as sleep } from "node:timers/promises";
import { readMemAvailable, readPss } from "../memory.ts";
import type { Measure, Sample } from "../runner.ts";
import { now } from "../subject.ts";
import { shellWords } from "../shell-words.ts";
import { runToEnd, timeToEnd } from "./command.ts";
import type { Peer } from "./peer.ts";

export interface PeerMeasureOptions {
  readonly image: string;
  readonly rounds: number;
  /** Rounds of the measures that take seconds each. */
  readonly longRounds: number;
  /** Idle workloads for a figure of memory. */
  readonly instances: number;
}

const CLIENTS = 10;
const RUNS_EACH = 10;

/** The measures of one peer, and how to take away what they raised. */
export async function measuresOf(peer: Peer, options: PeerMeasureOptions): Promise<{ readonly measures: Measure[]; readonly close: () => Promise<void> }> {
  const name = `bench-exec-${process.pid}`;
  await runToEnd([...peer.client, "run", "-d", "--name", name, "--network", "none", options.image, "sleep", "100000"]);
  const close = async (): Promise<void> => void (await runToEnd([...peer.client, "rm", "-f", name]));
  const timed = (metric: string, ...words: string[]): Measure => ({
    subject: peer.id,
    name: metric,
    rounds: options.rounds,
    sample: async () => [{ metric, value: (await timeToEnd([...peer.client, ...words])).seconds, unit: "s", command: commandLine(peer, words) }],
  });
  const run = ["run", "--rm", "--network", "none", options.image, "true"];
  return {
    measures: [
      timed("run_none", ...run),
      timed("run_bridge", "run", "--rm", options.image, "true"),
      timed("run_published", "run", "--rm", "-p", "127.0.0.1::80", options.image, "true"),
      timed("exec", "exec", name, "true"),
      { subject: peer.id, name: "run_parallel", rounds: options.longRounds, sample: () => sampleParallel(peer, run) },
      { subject: peer.id, name: "idle", rounds: options.longRounds, sample: () => sampleIdle(peer, options) },
    ],
    close,
  };
}

/** 100 runs by 10 clients at once. */
async function sampleParallel(peer: Peer, words: readonly string[]): Promise<Sample[]> {
  const began = now();
  const client = async (): Promise<void> => {
    for (let count = 0; count < RUNS_EACH; count++) await runToEnd([...peer.client, ...words]);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return [{ metric: "run_parallel", value: now() - began, unit: "s", command: `${CLIENTS} clients, each ${RUNS_EACH} times: ${commandLine(peer, words)}` }];
}

/** Idle workloads raised one after another: how long, and what the host has less of for each. */
async function sampleIdle(peer: Peer, options: PeerMeasureOptions): Promise<Sample[]> {
  const { instances } = options;
  const names = Array.from({ length: instances }, (_, index) => `bench-idle-${process.pid}-${index}`);
  const words = ["run", "-d", "--network", "none", options.image, "sleep", "100000"];
  const base = { command: `${instances} times: ${commandLine(peer, words)}` };
  const resident = peer.resident().reduce((sum, pid) => sum + (readPss(pid) ?? 0), 0);
  const before = readMemAvailable();
  try {
    const began = now();
    for (const name of names) await runToEnd([...peer.client, "run", "-d", "--name", name, ...words.slice(2)]);
    const seconds = now() - began;
    await sleep(1000);
    const lost = (before - readMemAvailable()) / instances; // below zero where the host gave back more meanwhile: noise, and shown as such
    return [
      { ...base, metric: "start_idle", value: seconds / instances, unit: "s" },
      { ...base, metric: "memory_per_idle", value: lost, unit: "bytes" },
      { metric: "memory_resident", value: resident, unit: "bytes", command: "grep ^Pss /proc/PID/smaps_rollup, of each resident process" },
    ];
  } finally {
    await runToEnd([...peer.client, "rm", "-f", ...names]);
  }
}

function commandLine(peer: Peer, words: readonly string[]): string {
  return shellWords([...peer.client.slice(0, 1), ...words]);
}
