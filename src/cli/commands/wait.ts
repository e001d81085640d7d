import type { Command } from "../command.ts";
import { forEach } from "../report.ts";

export const command: Command = {
  usage: "WORKLOAD [WORKLOAD...]",
  description: "Wait until workloads have ended, and print their exit codes.",
  options: [],
  least: 1,
  completes: "running",
  run: ({ args, client }) =>
    forEach(args, "wait", async (reference) => {
      const { ended } = await client.workloads.wait(reference);
      return String((await ended).StatusCode);
    }),
};
