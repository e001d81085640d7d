import type { Command } from "../command.ts";
import { confirm, FORCE_OPTION } from "../confirm.ts";
import { LONG_FILTER_OPTION, parseFilters } from "../filters.ts";
import { showBytes } from "../format/quantity.ts";
import { printLine } from "../output.ts";

export const containerPrune: Command = {
  usage: "[OPTIONS]",
  description: "Remove workloads that do not run.",
  options: [LONG_FILTER_OPTION, FORCE_OPTION],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    if (!(await confirm(flags, "This removes all workloads that do not run."))) return 1;
    const done = await client.workloads.prune({ filters: parseFilters(flags.list("filter")) });
    for (const id of done.ContainersDeleted ?? []) printLine(id);
    printLine(`Total reclaimed space: ${showBytes(done.SpaceReclaimed)}`);
    return 0;
  },
};

export const imagePrune: Command = {
  usage: "[OPTIONS]",
  description: "Remove images without a name; with --all every image that no workload uses.",
  options: [{ name: "all", short: "a", kind: "flag", help: "Every image that no workload uses" }, LONG_FILTER_OPTION, FORCE_OPTION],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    const all = flags.on("all");
    if (!(await confirm(flags, all ? "This removes all images that no workload uses." : "This removes all images without a name."))) return 1;
    const filters = { ...parseFilters(flags.list("filter")), ...(all ? { dangling: ["false"] } : {}) };
    const done = await client.images.prune({ filters });
    for (const step of done.ImagesDeleted ?? []) printLine(step.Untagged === undefined ? `deleted: ${step.Deleted}` : `untagged: ${step.Untagged}`);
    printLine(`Total reclaimed space: ${showBytes(done.SpaceReclaimed)}`);
    return 0;
  },
};

export const systemPrune: Command = {
  usage: "[OPTIONS]",
  description: "Remove workloads that do not run, networks that none uses, and images without a name.",
  options: [
    { name: "all", short: "a", kind: "flag", help: "Every image that no workload uses" },
    FORCE_OPTION,
    { name: "volumes", kind: "flag", help: "Anonymous volumes as well" },
  ],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    const what = `workloads that do not run, networks and ${flags.on("all") ? "images" : "nameless images"}${flags.on("volumes") ? " and anonymous volumes" : ""} that none uses`;
    if (!(await confirm(flags, `This removes ${what}.`))) return 1;
    const workloads = await client.workloads.prune();
    const networks = await client.networks.prune();
    const volumes = flags.on("volumes") ? await client.volumes.prune() : undefined;
    const images = await client.images.prune({ filters: flags.on("all") ? { dangling: ["false"] } : {} });
    for (const id of workloads.ContainersDeleted ?? []) printLine(`workload ${id}`);
    for (const name of networks.NetworksDeleted ?? []) printLine(`network ${name}`);
    for (const name of volumes?.VolumesDeleted ?? []) printLine(`volume ${name}`);
    for (const step of images.ImagesDeleted ?? []) printLine(step.Untagged === undefined ? `deleted: ${step.Deleted}` : `untagged: ${step.Untagged}`);
    printLine(`Total reclaimed space: ${showBytes(workloads.SpaceReclaimed + (volumes?.SpaceReclaimed ?? 0) + images.SpaceReclaimed)}`);
    return 0;
  },
};
