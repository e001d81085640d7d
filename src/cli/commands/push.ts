import type { Command } from "../command.ts";
import { printLine } from "../output.ts";
import { findRegistryAuth } from "../registry-auth.ts";
import { showProgress } from "../terminal/progress.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG]",
  description: "Send an image to its registry. Credentials come from ~/.docker/config.json.",
  options: [{ name: "quiet", short: "q", kind: "flag", help: "Only the name" }],
  examples: [{ command: "bulkhead push localhost:5000/app:1", says: "to a registry on this machine" }],
  least: 1,
  most: 1,
  completes: "images",
  run: async ({ flags, args, client }) => {
    const reference = args[0] as string;
    await showProgress(client.images.push(reference, { registryAuth: findRegistryAuth(reference) }), 1, flags.on("quiet"));
    if (flags.on("quiet")) printLine(reference);
    return 0;
  },
};
