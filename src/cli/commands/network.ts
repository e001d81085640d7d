import type { Command } from "../command.ts";
import { FILTER_OPTION, parseFilters } from "../filters.ts";
import { FORMAT_OPTIONS, formatOf, printListing } from "../format/listing.ts";
import { print } from "../output.ts";

export const networkList: Command = {
  usage: "[OPTIONS]",
  description: "List networks.",
  options: [
    FILTER_OPTION,
    ...FORMAT_OPTIONS,
    { name: "no-trunc", kind: "flag", help: "Nothing cut" },
    { name: "quiet", short: "q", kind: "flag", help: "Only ids" },
  ],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    const found = await client.networks.list({ filters: parseFilters(flags.list("filter")) });
    const idOf = (id: string): string => (flags.on("no-trunc") ? id : id.slice(0, 12));
    const format = formatOf(flags);
    if (flags.on("quiet") && format === undefined) {
      print(found.map((network) => `${idOf(network.Id)}\n`).join(""));
      return 0;
    }
    const rows = found.map((network) => ({
      ID: idOf(network.Id),
      Name: network.Name,
      Driver: network.Driver,
      Scope: network.Scope,
      CreatedAt: network.Created,
    }));
    const headings = { ID: "NETWORK ID", Name: "NAME", Driver: "DRIVER", Scope: "SCOPE", CreatedAt: "CREATED AT" };
    printListing(rows, { headings, columns: ["ID", "Name", "Driver", "Scope"] }, format);
    return 0;
  },
};
