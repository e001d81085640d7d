/** The stock docker client, timed as users feel it: from spawn to exit. */

import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { now } from "../subject.ts";

/** Milliseconds of one run of the client; rejects with what it said where it failed. */
export function timeDocker(socket: string, words: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = now();
    const child = spawn("docker", ["-H", `unix://${socket}`, ...words], { stdio: ["ignore", "ignore", "pipe"] });
    let complaint = "";
    child.stderr.on("data", (chunk: Buffer) => {
      complaint = (complaint + chunk.toString("utf8")).slice(-400);
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve((now() - began) * 1000);
      else reject(new Error(`docker ${words.join(" ")} exited with ${code}: ${complaint.trim()}`));
    });
  });
}

/** Alternates several commands, `rounds` times each after one warm-up, with a pause before each. Milliseconds by name. */
export async function interleave(
  commands: Readonly<Record<string, () => Promise<number>>>,
  options: { readonly rounds: number; readonly pauseMs: number; readonly signal: AbortSignal },
): Promise<Record<string, number[]>> {
  const samples: Record<string, number[]> = Object.fromEntries(Object.keys(commands).map((name) => [name, []]));
  const names = Object.keys(commands);
  for (let round = -1; round < options.rounds; round++) {
    for (let index = 0; index < names.length; index++) {
      options.signal.throwIfAborted();
      // The order turns with each round, so that none always follows the same neighbour.
      const name = names[(index + round + names.length) % names.length] as string;
      await sleep(options.pauseMs);
      const milliseconds = await (commands[name] as () => Promise<number>)();
      if (round >= 0) (samples[name] as number[]).push(milliseconds);
    }
  }
  return samples;
}
