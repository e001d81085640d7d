import type { Command } from "../command.ts";
import { confirm, FORCE_OPTION } from "../confirm.ts";
import { FILTER_OPTION, LONG_FILTER_OPTION, parseFilters } from "../filters.ts";
import { FORMAT_OPTIONS, formatOf, printListing } from "../format/listing.ts";
import { showBytes } from "../format/quantity.ts";
import { print, printLine } from "../output.ts";
import { forEach } from "../report.ts";
import { parsePairs } from "../specs/environment.ts";

export const volumeList: Command = {
  usage: "[OPTIONS]",
  description: "List volumes.",
  options: [FILTER_OPTION, ...FORMAT_OPTIONS, { name: "quiet", short: "q", kind: "flag", help: "Only names" }],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    const found = await client.volumes.list({ filters: parseFilters(flags.list("filter")) });
    const format = formatOf(flags);
    if (flags.on("quiet") && format === undefined) {
      print(found.map((volume) => `${volume.Name}\n`).join(""));
      return 0;
    }
    const rows = found.map((volume) => ({
      Driver: volume.Driver,
      Name: volume.Name,
      Mountpoint: volume.Mountpoint,
      Scope: volume.Scope,
      Labels: Object.entries(volume.Labels ?? {})
        .map(([key, value]) => `${key}=${value}`)
        .join(","),
    }));
    printListing(
      rows,
      { headings: { Driver: "DRIVER", Name: "VOLUME NAME", Mountpoint: "MOUNTPOINT", Scope: "SCOPE", Labels: "LABELS" }, columns: ["Driver", "Name"] },
      format,
    );
    return 0;
  },
};

export const volumeCreate: Command = {
  usage: "[OPTIONS] [NAME]",
  description: "Make a volume, and print its name.",
  options: [{ name: "label", short: "l", kind: "list", value: "key=value", help: "Set a label" }],
  least: 0,
  most: 1,
  run: async ({ flags, args, client }) => {
    const made = await client.volumes.create({ name: args[0], labels: parsePairs(flags.list("label"), "--label") });
    printLine(made.Name);
    return 0;
  },
};

export const volumeRemove: Command = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  description: "Remove volumes that no workload uses.",
  options: [{ name: "force", short: "f", kind: "flag", help: "A missing one is no failure" }],
  least: 1,
  completes: "volumes",
  run: ({ flags, args, client }) =>
    forEach(args, "volume rm", async (name) => {
      await client.volumes.remove(name, { force: flags.on("force") });
      return name;
    }),
};

export const volumePrune: Command = {
  usage: "[OPTIONS]",
  description: "Remove anonymous volumes that no workload uses; with --all named ones as well.",
  options: [{ name: "all", short: "a", kind: "flag", help: "Named volumes as well" }, LONG_FILTER_OPTION, FORCE_OPTION],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    if (!(await confirm(flags, `This removes all ${flags.on("all") ? "" : "anonymous "}volumes that no workload uses.`))) return 1;
    const filters = { ...parseFilters(flags.list("filter")), ...(flags.on("all") ? { all: ["true"] } : {}) };
    const done = await client.volumes.prune({ filters });
    for (const name of done.VolumesDeleted ?? []) printLine(name);
    printLine(`Total reclaimed space: ${showBytes(done.SpaceReclaimed)}`);
    return 0;
  },
};
