import type { Command } from "../command.ts";
import { layOut } from "../format/table.ts";
import { clean, printLine } from "../output.ts";

export const command: Command = {
  usage: "[OPTIONS] WORKLOAD [PS-OPTIONS]",
  description: "List the processes of a workload.",
  options: [{ name: "json", kind: "flag", help: "One JSON document" }],
  least: 1,
  stopsAtArgument: true,
  completes: "running",
  run: async ({ flags, args, client }) => {
    const [reference = "", ...ps] = args;
    const found = await client.workloads.top(reference, { psArguments: ps.length > 0 ? ps.join(" ") : undefined });
    // A process names itself as it likes: its name must not move the reader's cursor.
    printLine(flags.on("json") ? JSON.stringify(found) : layOut([found.Titles, ...found.Processes].map((row) => row.map(clean))));
    return 0;
  },
};
