import { Failure } from "../../../sdk/src/index.ts";
import type { Command } from "../command.ts";
import { forEach } from "../report.ts";

export const command: Command = {
  usage: "[OPTIONS] WORKLOAD [WORKLOAD...]",
  description: "Remove workloads that do not run; with --force also those that do.",
  options: [
    { name: "force", short: "f", kind: "flag", help: "End those that run; a missing one is no failure" },
    { name: "volumes", short: "v", kind: "flag", help: "Remove their anonymous volumes as well" },
  ],
  examples: [{ command: "bulkhead rm -f $(bulkhead ps -aq)", says: "everything" }],
  least: 1,
  completes: "workloads",
  run: ({ flags, args, client }) =>
    forEach(args, "rm", async (reference) => {
      try {
        await client.workloads.remove(reference, { force: flags.on("force"), volumes: flags.on("volumes") });
      } catch (thrown) {
        if (flags.on("force") && thrown instanceof Failure && thrown.code === "NOT_FOUND") return undefined;
        throw thrown;
      }
      return reference;
    }),
};
