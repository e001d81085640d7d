/** Whether and when an ended workload is started again. Pure, and by Docker's rules. */

import type { RestartPolicy } from "./index.ts";

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 60_000;
/** A run of this length makes the next delay short again. */
const SOUND_RUN_MS = 10_000;

export interface EndedRun {
  readonly exitCode: number;
  readonly restartCount: number;
  readonly stoppedByHand: boolean;
}

export function wantsRestart(policy: RestartPolicy, run: EndedRun): boolean {
  if (run.stoppedByHand) return false;
  switch (policy.name) {
    case "no":
      return false;
    case "always":
    case "unless-stopped":
      return true;
    case "on-failure":
      return run.exitCode !== 0 && (policy.maximumRetries === 0 || run.restartCount < policy.maximumRetries);
  }
}

/** After the daemon's own restart `always` means always, also for what was stopped by hand. */
export function wantsStartAtBoot(policy: RestartPolicy, run: EndedRun): boolean {
  return policy.name === "always" || wantsRestart(policy, run);
}

export function nextDelayMs(previousMs: number, ranForMs: number): number {
  if (previousMs === 0 || ranForMs >= SOUND_RUN_MS) return FIRST_DELAY_MS;
  return Math.min(previousMs * 2, LONGEST_DELAY_MS);
}
