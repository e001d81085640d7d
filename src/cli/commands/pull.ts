import { splitReference } from "../../../sdk/src/index.ts";
import type { Command } from "../command.ts";
import { printLine } from "../output.ts";
import { pullImage } from "../pull.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  description: "Fetch an image from its registry. Credentials come from ~/.docker/config.json.",
  options: [
    { name: "platform", kind: "text", value: "os/arch", help: "Platform of a multi-platform image" },
    { name: "quiet", short: "q", kind: "flag", help: "Only the name" },
  ],
  examples: [{ command: "bulkhead pull localhost:5000/app:1", says: "from a registry on this machine" }],
  least: 1,
  most: 1,
  completes: "images",
  run: async ({ flags, args, client }) => {
    const given = args[0] as string;
    const reference = splitReference(given).tag === undefined ? `${given}:latest` : given;
    await pullImage(client, reference, { platform: flags.text("platform"), quiet: flags.on("quiet"), descriptor: 1 });
    printLine(reference);
    return 0;
  },
};
