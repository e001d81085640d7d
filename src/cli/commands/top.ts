import type { Command } from "../command.ts";
import { layOut } from "../format/table.ts";
import { clean, printLine } from "../output.ts";

export const command: Command = {
  usage: "[OPTIONS] WORKLOAD",
  description: "List the processes of a workload. The columns are the boundary's.",
  options: [{ name: "json", kind: "flag", help: "One JSON document" }],
  least: 1,
  most: 1,
  completes: "running",
  run: async ({ flags, args, client }) => {
    const [reference = ""] = args;
    const found = await client.workloads.top(reference);
    // A process names itself as it likes: its name must not move the reader's cursor.
    printLine(flags.on("json") ? JSON.stringify(found) : layOut([found.Titles, ...found.Processes].map((row) => row.map(clean))));
    return 0;
  },
};
