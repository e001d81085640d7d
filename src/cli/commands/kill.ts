import type { Command } from "../command.ts";
import { forEach } from "../report.ts";

export const command: Command = {
  usage: "[OPTIONS] WORKLOAD [WORKLOAD...]",
  description: "Send a signal to the main process of running workloads.",
  options: [{ name: "signal", short: "s", kind: "text", value: "signal", help: "Name or number", initially: "SIGKILL" }],
  examples: [{ command: "bulkhead kill -s HUP web", says: "let it read its configuration again" }],
  least: 1,
  completes: "running",
  run: ({ flags, args, client }) =>
    forEach(args, "kill", async (reference) => {
      await client.workloads.kill(reference, flags.text("signal") ?? "SIGKILL");
      return reference;
    }),
};
