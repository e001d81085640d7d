import type { Command } from "../command.ts";

export const command: Command = {
  usage: "WORKLOAD NAME",
  description: "Give a workload another name.",
  options: [],
  least: 2,
  most: 2,
  completes: "workloads",
  run: async ({ args, client }) => {
    const [reference = "", name = ""] = args;
    await client.workloads.rename(reference, name);
    return 0;
  },
};
