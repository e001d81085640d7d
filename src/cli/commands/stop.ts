import type { Command } from "../command.ts";
import { forEach } from "../report.ts";

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
      await client.workloads.stop(reference, { timeoutSeconds: flags.number("time") ?? flags.number("timeout"), killSignal: flags.text("signal") });
      return reference;
    }),
};
