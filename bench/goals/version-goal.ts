/** `bulkhead version` beside `node -e 0`: what the command line itself costs. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { median } from "../statistics.ts";
import { timeProcess } from "../subjects/plain-host.ts";
import { interleave } from "./docker-client.ts";
import { type GoalResult, PAUSE_MS } from "./goal.ts";

export async function measureVersion(rounds: number, signal: AbortSignal): Promise<GoalResult[]> {
  const program = [join(import.meta.dirname, "../bin/bulkhead"), join(import.meta.dirname, "../../bin/bulkhead")].find((path) => existsSync(path));
  if (program === undefined) throw new Error("bin/bulkhead was not found");
  const milliseconds = async (path: string, words: readonly string[]): Promise<number> => (await timeProcess(path, words)).exit * 1000;
  const samples = await interleave(
    { node: () => milliseconds(process.execPath, ["-e", "0"]), version: () => milliseconds(program, ["version"]) },
    { rounds, pauseMs: PAUSE_MS, signal },
  );
  const node = median(samples["node"] as number[]);
  return [
    {
      id: "version",
      text: "bulkhead version",
      unit: "ms",
      measured: median(samples["version"] as number[]),
      limit: node * 1.4,
      from: `node -e 0 ${node.toFixed(1)} ms × 1.4`,
      n: rounds,
      samples,
    },
  ];
}
