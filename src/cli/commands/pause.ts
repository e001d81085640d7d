import type { Command } from "../command.ts";
import { forEach } from "../report.ts";

export const pause: Command = {
  usage: "WORKLOAD [WORKLOAD...]",
  description: "Freeze every process of workloads.",
  options: [],
  least: 1,
  completes: "running",
  run: ({ args, client }) =>
    forEach(args, "pause", async (reference) => {
      await client.workloads.pause(reference);
      return reference;
    }),
};

export const unpause: Command = {
  usage: "WORKLOAD [WORKLOAD...]",
  description: "Let frozen workloads go on.",
  options: [],
  least: 1,
  completes: "running",
  run: ({ args, client }) =>
    forEach(args, "unpause", async (reference) => {
      await client.workloads.unpause(reference);
      return reference;
    }),
};
