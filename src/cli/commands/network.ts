import type { Command } from "../command.ts";
import { confirm, FORCE_OPTION } from "../confirm.ts";
import { FILTER_OPTION, LONG_FILTER_OPTION, parseFilters } from "../filters.ts";
import { FORMAT_OPTIONS, formatOf, printListing } from "../format/listing.ts";
import { print, printLine } from "../output.ts";
import { forEach } from "../report.ts";
import { parsePairs } from "../specs/environment.ts";

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

export const networkCreate: Command = {
  usage: "[OPTIONS] NAME",
  description: "Make a network, and print its id.",
  options: [
    { name: "driver", short: "d", kind: "text", value: "name", help: "Kind of network", initially: "bridge" },
    { name: "internal", kind: "flag", help: "No way out of it" },
    { name: "label", kind: "list", value: "key=value", help: "Set a label" },
  ],
  least: 1,
  most: 1,
  run: async ({ flags, args, client }) => {
    printLine(
      await client.networks.create(args[0] as string, {
        driver: flags.text("driver"),
        internal: flags.on("internal"),
        labels: parsePairs(flags.list("label"), "--label"),
      }),
    );
    return 0;
  },
};

export const networkRemove: Command = {
  usage: "NETWORK [NETWORK...]",
  description: "Remove networks that no workload uses.",
  options: [],
  least: 1,
  completes: "networks",
  run: ({ args, client }) =>
    forEach(args, "network rm", async (name) => {
      await client.networks.remove(name);
      return name;
    }),
};

export const networkPrune: Command = {
  usage: "[OPTIONS]",
  description: "Remove networks that no workload uses.",
  options: [LONG_FILTER_OPTION, FORCE_OPTION],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    if (!(await confirm(flags, "This removes all networks that no workload uses."))) return 1;
    const done = await client.networks.prune({ filters: parseFilters(flags.list("filter")) });
    for (const name of done.NetworksDeleted ?? []) printLine(name);
    return 0;
  },
};
