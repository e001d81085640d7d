import type { Command } from "../command.ts";
import { forEach } from "../report.ts";

export const command: Command = {
  usage: "[OPTIONS] WORKLOAD [WORKLOAD...]",
  description: "Stop workloads where they run, and start them.",
  options: [
    { name: "signal", short: "s", kind: "text", value: "signal", help: "Signal that asks it to end" },
    { name: "time", short: "t", kind: "number", value: "seconds", help: "Time before SIGKILL" },
    { name: "timeout", kind: "number", value: "seconds", help: "As --time" },
  ],
  least: 1,
  completes: "workloads",
  run: ({ flags, args, client }) =>
    forEach(args, "restart", async (reference) => {
      await client.workloads.restart(reference, { timeoutSeconds: flags.number("time") ?? flags.number("timeout"), killSignal: flags.text("signal") });
      return reference;
    }),
};
