/** Goals of memory and of scale: what the daemon takes idle, what each idle container takes, whether the 300th starts like the first. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@bulkhead/sdk";
import { readMemAvailable, readPss } from "../memory.ts";
import { median } from "../statistics.ts";
import { now } from "../subject.ts";
import { type GoalResult, PAUSE_MS } from "./goal.ts";

export interface FootprintOptions {
  readonly client: Client;
  readonly image: string;
  readonly instances: number;
  readonly signal: AbortSignal;
  /** Processes of the daemon under test. */
  readonly daemonPids: readonly number[];
  readonly supervisorPids: () => readonly number[];
}

const MB = 1e6;

export async function measureFootprint(options: FootprintOptions): Promise<GoalResult[]> {
  const { client, instances } = options;
  const idle = options.daemonPids.reduce((sum, pid) => sum + (readPss(pid) ?? 0), 0);
  const ids: string[] = [];
  const times: number[] = [];
  try {
    await sleep(2000);
    const availableBefore = readMemAvailable();
    for (let count = 0; count < instances; count++) {
      options.signal.throwIfAborted();
      await sleep(PAUSE_MS);
      const began = now();
      const { Id } = await client.workloads.create({ Image: options.image, Cmd: ["sleep", "100000"], HostConfig: { NetworkMode: "none" } });
      await client.workloads.start(Id);
      times.push((now() - began) * 1000);
      ids.push(Id);
    }
    await sleep(2000);
    const perInstance = (availableBefore - readMemAvailable()) / instances;
    const supervisors = options.supervisorPids().map((pid) => readPss(pid) ?? 0);
    const first = times.slice(0, 10);
    const last = times.slice(-10);
    return [
      {
        id: "idle-memory",
        text: "daemon and launcher, idle (PSS)",
        unit: "MB",
        measured: idle / MB,
        limit: 70,
        from: "fixed",
        n: 1,
        samples: { idle: [idle] },
      },
      {
        id: "container-memory",
        text: `everything per idle container (MemAvailable over ${instances})`,
        unit: "MB",
        measured: perInstance / MB,
        limit: 1.5,
        from: "fixed",
        n: instances,
        samples: {},
      },
      supervisors.length === 0
        ? { id: "supervisor-memory", because: "no supervisor was found among the processes" }
        : {
            id: "supervisor-memory",
            text: "of it the supervisor (PSS)",
            unit: "MB",
            measured: median(supervisors) / MB,
            limit: 0.15,
            from: "fixed",
            n: supervisors.length,
            samples: { supervisors },
          },
      {
        id: "start-at-scale",
        text: `last ten of ${instances} started one after another`,
        unit: "ms",
        measured: median(last),
        limit: median(first) * 1.2,
        from: `first ten ${median(first).toFixed(1)} ms × 1.2`,
        n: instances,
        samples: { times },
      },
    ];
  } finally {
    for (const id of ids) await client.workloads.remove(id, { force: true });
  }
}
