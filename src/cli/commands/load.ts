import { readArchive } from "../archive-input.ts";
import type { Command } from "../command.ts";
import { isColourful } from "../output.ts";
import { ProgressView } from "../terminal/progress.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  description: "Take images from an archive of `docker save` or in OCI layout, compressed or not.",
  options: [
    { name: "input", short: "i", kind: "text", value: "file", help: "Archive; stdin where left out", completes: "files" },
    { name: "quiet", short: "q", kind: "flag", help: "No progress" },
  ],
  examples: [{ command: "bulkhead load -i saved.tar", says: "from a file" }],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    const view = new ProgressView(1);
    const live = isColourful(1) && !flags.on("quiet");
    for await (const line of client.images.load(readArchive(flags.text("input"), live ? view : undefined), { quiet: flags.on("quiet") })) {
      if (!flags.on("quiet") || line.stream !== undefined) view.show(line);
    }
    return 0;
  },
};
