import type { Command } from "../command.ts";
import { forEach } from "../report.ts";
import { sayWhileWaiting } from "../terminal/waiting.ts";

export const command: Command = {
  usage: "[OPTIONS] WORKLOAD [WORKLOAD...]",
  description: "Ask workloads to end; kill them when they have not after the timeout.",
  options: [
    { name: "signal", short: "s", kind: "text", value: "signal", help: "Signal that asks; its own, else SIGTERM, where left out" },
    { name: "time", short: "t", kind: "number", value: "seconds", help: "Time before SIGKILL; -1 waits without end; its own, else 10, where left out" },
    { name: "timeout", kind: "number", value: "seconds", help: "As --time" },
  ],
  examples: [{ command: "bulkhead stop -t 2 web", says: "two seconds to tidy up" }],
  least: 1,
  completes: "running",
  run: ({ flags, args, client }) =>
    forEach(args, "stop", async (reference) => {
      const timeoutSeconds = flags.number("time") ?? flags.number("timeout");
      const quiet = sayWhileWaiting(`${reference} has been asked to end; it is ${untilWhen(timeoutSeconds)} (Ctrl-C leaves it to the daemon)`);
      try {
        await client.workloads.stop(reference, { timeoutSeconds, killSignal: flags.text("signal") });
      } finally {
        quiet();
      }
      return reference;
    }),
};

function untilWhen(timeoutSeconds: number | undefined): string {
  if (timeoutSeconds === undefined) return "killed when its own time is over, 10 s unless it says otherwise";
  return timeoutSeconds < 0 ? "waited for without end" : `killed ${timeoutSeconds} s after that`;
}
