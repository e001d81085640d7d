/** Goals of gVisor: a run and an exec beside plain runsc's, the same program on the same platform. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@bulkhead/sdk";
import { GAUGE_IMAGE } from "../gauge-image.ts";
import { unpackImage } from "../rootfs.ts";
import type { SubjectDescription } from "../series.ts";
import { median } from "../statistics.ts";
import type { ExecTarget } from "../subject.ts";
import { BulkheadSubject } from "../subjects/bulkhead.ts";
import { platformOf, RawRunsc } from "../subjects/raw-runsc.ts";
import { type Goal, type GoalResult, PAUSE_MS } from "./goal.ts";

/** Ours may take so many times what the mechanism takes. */
const FACTOR = 1.3;

export interface GvisorGoalOptions {
  readonly client: Client;
  readonly image: string;
  readonly gvisor: SubjectDescription;
  readonly traits: readonly string[];
  readonly root: string;
  readonly rounds: number;
  readonly signal: AbortSignal;
}

export async function measureGvisorGoals(options: GvisorGoalOptions): Promise<GoalResult[]> {
  const { client, image, gvisor, root, traits } = options;
  const ours = new BulkheadSubject({ client, description: gvisor, isolation: gvisor.id, image, gaugeImage: GAUGE_IMAGE, root });
  const unpacked = await unpackImage(client, image);
  const raw = await RawRunsc.open({ rootfs: unpacked.directory, version: gvisor.version, platform: platformOf(traits) });
  const targets: ExecTarget[] = [];
  try {
    const command = ["echo", "ready"];
    const runs = await alternate(options, [async () => (await raw.start(command)).exit, async () => (await ours.start(command)).exit]);
    for (const subject of [raw, ours]) targets.push(await subject.openExec());
    const execs = await alternate(options, [() => (targets[0] as ExecTarget).run(), () => (targets[1] as ExecTarget).run()]);
    return [
      goal({ id: "gvisor-run", text: "gvisor run to its end", control: "plain runsc run", samples: runs }),
      goal({ id: "gvisor-exec", text: "exec in a running gvisor sandbox", control: "plain runsc exec", samples: execs }),
    ];
  } finally {
    for (const target of targets) await target.close();
    await raw.close();
    unpacked.remove();
  }
}

type Pair = readonly [plain: readonly number[], ours: readonly number[]];

/** Milliseconds of both, turn by turn, the first of each left out. */
async function alternate({ rounds, signal }: GvisorGoalOptions, [plain, ours]: readonly [() => Promise<number>, () => Promise<number>]): Promise<Pair> {
  const samples: [number[], number[]] = [[], []];
  for (let round = -1; round < rounds; round++) {
    for (const [at, measure] of [plain, ours].entries()) {
      signal.throwIfAborted();
      await sleep(PAUSE_MS);
      const seconds = await measure();
      if (round >= 0) samples[at]?.push(seconds * 1000);
    }
  }
  return samples;
}

function goal(row: { readonly id: string; readonly text: string; readonly control: string; readonly samples: Pair }): Goal {
  const [plain, ours] = row.samples;
  const control = median(plain);
  return {
    id: row.id,
    text: row.text,
    unit: "ms",
    measured: median(ours),
    limit: control * FACTOR,
    from: `${row.control} ${control.toFixed(1)} ms × ${FACTOR}`,
    n: ours.length,
    samples: { ours, plain },
  };
}
