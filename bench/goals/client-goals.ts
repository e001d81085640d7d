/** Goals through the stock docker client, each beside client zero: a daemon that answers at once and runs nothing. */

import { setTimeout as sleep } from "node:timers/promises";
import { median } from "../statistics.ts";
import { now } from "../subject.ts";
import { interleave, timeDocker } from "./docker-client.ts";
import { type GoalResult, PAUSE_MS } from "./goal.ts";

export interface ClientGoalOptions {
  readonly socket: string;
  /** Where client zero listens. */
  readonly zero: string;
  readonly image: string;
  readonly rounds: number;
  readonly signal: AbortSignal;
}

export async function measureClientGoals(options: ClientGoalOptions): Promise<GoalResult[]> {
  const { socket, zero, image } = options;
  const run = (on: string, ...flags: string[]) => timeDocker(on, ["run", "--rm", ...flags, image, "true"]);
  const workload = `goal-exec-${process.pid}`;
  await timeDocker(socket, ["run", "-d", "--name", workload, "--network", "none", image, "sleep", "100000"]);
  try {
    const samples = await interleave(
      {
        zero: () => run(zero, "--network", "none"),
        none: () => run(socket, "--network", "none"),
        bridge: () => run(socket),
        published: () => run(socket, "-p", "127.0.0.1:0:80"),
        zeroExec: () => timeDocker(zero, ["exec", "anything", "true"]),
        exec: () => timeDocker(socket, ["exec", workload, "true"]),
      },
      { rounds: options.rounds, pauseMs: PAUSE_MS, signal: options.signal },
    );
    const beyond = (id: string, text: string, { name, base, allowed }: { name: string; base: string; allowed: number }): GoalResult => {
      const control = median(samples[base] as number[]);
      return {
        id,
        text,
        unit: "ms",
        measured: median(samples[name] as number[]),
        limit: control + allowed,
        from: `${base === "zero" ? "client zero" : "client zero of exec"} ${control.toFixed(1)} ms + ${allowed}`,
        n: options.rounds,
        samples: { [name]: samples[name] as number[], [base]: samples[base] as number[] },
      };
    };
    return [
      beyond("run-none", "docker run --rm --network none busybox true", { name: "none", base: "zero", allowed: 14 }),
      beyond("run-bridge", "the same with the bridge network", { name: "bridge", base: "zero", allowed: 17 }),
      beyond("run-published", "the same with -p", { name: "published", base: "zero", allowed: 22 }),
      beyond("exec", "docker exec behind container", { name: "exec", base: "zeroExec", allowed: 10 }),
      await measureParallel(options),
    ];
  } finally {
    await timeDocker(socket, ["rm", "-f", workload]);
  }
}

/** 100 runs by 10 clients, against the same of client zero. A sample is a whole batch: pauses between its runs would be no load. */
async function measureParallel(options: ClientGoalOptions): Promise<GoalResult> {
  const batch = async (socket: string): Promise<number> => {
    await sleep(PAUSE_MS);
    const began = now();
    const client = async (): Promise<void> => {
      for (let count = 0; count < 10; count++) await timeDocker(socket, ["run", "--rm", "--network", "none", options.image, "true"]);
    };
    await Promise.all(Array.from({ length: 10 }, client));
    return now() - began;
  };
  const zero: number[] = [];
  const ours: number[] = [];
  for (let round = 0; round < 3; round++) {
    options.signal.throwIfAborted();
    zero.push(await batch(options.zero));
    ours.push(await batch(options.socket));
  }
  const control = median(zero);
  return {
    id: "run-parallel",
    text: "100 × run --rm by 10 clients",
    unit: "s",
    measured: median(ours),
    limit: control * (2.2 / 0.8),
    from: `client zero ${control.toFixed(2)} s × 2.75`,
    n: 3,
    samples: { ours, zero },
  };
}
