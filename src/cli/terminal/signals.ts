/** Signals that this program gets and the workload is meant by. */

import { tell } from "../output.ts";

const PROXIED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCONT", "SIGTSTP"] as const;
const PATIENCE = 3;

/**
 * Passes signals on until the returned function is called. Whoever presses Ctrl-C three times, or asks three times to
 * terminate, wants out: the workload is left as it is, and this program ends.
 */
export function passSignals(send: (signal: string) => void): () => void {
  let asked = 0;
  const handlers = PROXIED.map((name) => {
    const handler = (): void => {
      if (name === "SIGINT" || name === "SIGTERM") asked++;
      if (asked >= PATIENCE) {
        tell(`bulkhead: asked ${PATIENCE} times to end; the workload may still run`);
        process.exit(1);
      }
      send(name);
    };
    process.on(name, handler);
    return [name, handler] as const;
  });
  return () => {
    for (const [name, handler] of handlers) process.off(name, handler);
  };
}
