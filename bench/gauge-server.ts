/** The host's end of the measures of a network: the gauge as a client of a gauge that serves. */

import { setTimeout as sleep } from "node:timers/promises";
import type { GaugeReading } from "./subject.ts";
import { timeProcess } from "./subjects/plain-host.ts";

/** Of a server inside a workload, whose network is its own. */
export const SERVER_PORT = 9137;
const PATIENCE_MS = 20_000;

/** Runs one of the gauge's measures against a server. */
export async function askServer(gaugePath: string, measure: string, address: string, operations?: number): Promise<GaugeReading> {
  let text = "";
  await timeProcess(gaugePath, [measure, address, ...(operations === undefined ? [] : [String(operations)])], (chunk) => {
    text += chunk;
  });
  return { measure, ...(JSON.parse(text) as object) };
}

/** Resolves when the server answers. Rejects with the gauge's last words where it does not in time. */
export async function untilItAnswers(gaugePath: string, address: string): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; ; await sleep(50)) {
    try {
      await askServer(gaugePath, "net-request", address, 1);
      return;
    } catch (thrown) {
      if (performance.now() > end || (thrown as NodeJS.ErrnoException).code === "ENOENT") throw thrown;
    }
  }
}
