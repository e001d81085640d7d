/** Goals of machines: a cold run beside the barest boot, an exec beside the guest's own fork and exec. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@bulkhead/sdk";
import { openRawQemu } from "../compare.ts";
import { GAUGE_IMAGE } from "../gauge-image.ts";
import type { SubjectDescription } from "../series.ts";
import { median } from "../statistics.ts";
import { nanosecondsPerOperation } from "../subject.ts";
import { BulkheadSubject } from "../subjects/bulkhead.ts";
import { interleave } from "./docker-client.ts";
import { type GoalResult, PAUSE_MS } from "./goal.ts";

export interface MachineGoalOptions {
  readonly client: Client;
  readonly image: string;
  readonly machine: SubjectDescription;
  readonly root: string;
  readonly rounds: number;
  readonly signal: AbortSignal;
}

export async function measureMachineGoals(options: MachineGoalOptions): Promise<GoalResult[]> {
  const { client, image, machine, root, rounds, signal } = options;
  const ours = new BulkheadSubject({ client, description: machine, isolation: machine.id, image, gaugeImage: GAUGE_IMAGE, root });
  const bare = await openRawQemu(client, machine, image);
  try {
    const cold: number[] = [];
    const boots: number[] = [];
    for (let round = -1; round < rounds; round++) {
      signal.throwIfAborted();
      await sleep(PAUSE_MS);
      const boot = (await bare.start()).firstByte as number;
      await sleep(PAUSE_MS);
      const start = (await ours.start(["echo", "ready"])).firstByte as number;
      if (round < 0) continue;
      boots.push(boot * 1000);
      cold.push(start * 1000);
    }
    const limit = median(boots) * 1.3;
    return [
      {
        id: "microvm-cold",
        text: "microvm cold run to first byte",
        unit: "ms",
        measured: median(cold),
        limit,
        from: `barest QEMU boot ${median(boots).toFixed(0)} ms × 1.3`,
        n: rounds,
        samples: { cold, boots },
      },
      await measureExecInMachine(ours, options),
    ];
  } finally {
    await bare.close();
  }
}

async function measureExecInMachine(ours: BulkheadSubject, options: MachineGoalOptions): Promise<GoalResult> {
  const target = await ours.openExec();
  try {
    const { spawns = [], times = [] } = await interleave(
      {
        spawns: async () => nanosecondsPerOperation(await ours.gauge("spawn")) / 1e6,
        times: async () => (await target.run()) * 1000,
      },
      { rounds: options.rounds, pauseMs: PAUSE_MS, signal: options.signal },
    );
    const spawn = median(spawns);
    return {
      id: "microvm-exec",
      text: "exec in a running microvm",
      unit: "ms",
      measured: median(times),
      limit: 2 * spawn + 5,
      from: `the guest's own fork+exec ${spawn.toFixed(2)} ms × 2 + 5`,
      n: options.rounds,
      samples: { exec: times, spawn: spawns },
    };
  } finally {
    await target.close();
  }
}
