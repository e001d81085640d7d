import type { Command } from "../command.ts";

export const command: Command = {
  usage: "IMAGE NAME[:TAG]",
  description: "Give an image another name.",
  options: [],
  least: 2,
  most: 2,
  completes: "images",
  run: async ({ args, client }) => {
    const [source = "", target = ""] = args;
    await client.images.tag(source, target);
    return 0;
  },
};
