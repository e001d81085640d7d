import type { Command } from "../command.ts";
import { FORMAT_OPTIONS, formatOf, printListing } from "../format/listing.ts";
import { showBytes, showAge, showInstant } from "../format/quantity.ts";
import { print } from "../output.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE",
  description: "The steps that made an image, the newest first.",
  options: [...FORMAT_OPTIONS, { name: "no-trunc", kind: "flag", help: "Nothing cut" }, { name: "quiet", short: "q", kind: "flag", help: "Only ids" }],
  least: 1,
  most: 1,
  completes: "images",
  run: async ({ flags, args, client }) => {
    const whole = flags.on("no-trunc");
    const rows = (await client.images.history(args[0] as string)).map((step) => {
      const by = step.CreatedBy.replace(/\s+/g, " ");
      return {
        ID: whole || !step.Id.startsWith("sha256:") ? step.Id : step.Id.slice(7, 19),
        CreatedAt: showInstant(step.Created, (instant) => instant),
        CreatedSince: showAge(step.Created, Date.now()),
        CreatedBy: whole || by.length <= 45 ? by : `${by.slice(0, 44)}…`,
        Size: showBytes(step.Size),
        Comment: step.Comment,
      };
    });
    const format = formatOf(flags);
    if (flags.on("quiet") && format === undefined) {
      print(rows.map((row) => `${row.ID}\n`).join(""));
      return 0;
    }
    const headings = { ID: "IMAGE", CreatedAt: "CREATED AT", CreatedSince: "CREATED", CreatedBy: "CREATED BY", Size: "SIZE", Comment: "COMMENT" };
    printListing(rows, { headings, columns: ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"] }, format);
    return 0;
  },
};
