import type { PortSummary, WorkloadSummary } from "../../../sdk/src/index.ts";
import type { Command } from "../command.ts";
import { FILTER_OPTION, parseFilters } from "../filters.ts";
import { FORMAT_OPTIONS, formatOf, printListing, type Row } from "../format/listing.ts";
import { showBytes, showDuration } from "../format/quantity.ts";
import { print } from "../output.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  description: "List workloads: those that run, or all.",
  options: [
    { name: "all", short: "a", kind: "flag", help: "Also those that do not run" },
    FILTER_OPTION,
    ...FORMAT_OPTIONS,
    { name: "last", short: "n", kind: "number", value: "count", help: "The newest so many, whatever their state" },
    { name: "latest", short: "l", kind: "flag", help: "The newest one, whatever its state" },
    { name: "no-trunc", kind: "flag", help: "Nothing cut" },
    { name: "quiet", short: "q", kind: "flag", help: "Only ids" },
    { name: "size", short: "s", kind: "flag", help: "Show sizes on disk" },
  ],
  examples: [
    { command: "bulkhead ps -a --filter status=exited", says: "those that have ended" },
    { command: "bulkhead ps --format '{{.Names}}\\t{{.Boundary}}'", says: "names, and what stands around them" },
  ],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    const limit = flags.on("latest") ? 1 : flags.number("last");
    const format = formatOf(flags);
    const size = flags.on("size") || /\.Size\b/.test(format ?? "");
    const found = await client.workloads.list({
      all: flags.on("all"),
      size,
      filters: parseFilters(flags.list("filter")),
      ...(limit === undefined ? {} : { limit }),
    });
    const whole = flags.on("no-trunc");
    if (flags.on("quiet") && format === undefined) {
      print(found.map((workload) => `${whole ? workload.Id : workload.Id.slice(0, 12)}\n`).join(""));
      return 0;
    }
    const columns = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Boundary", "Names", ...(flags.on("size") ? ["Size"] : [])];
    printListing(
      found.map((workload) => rowOf(workload, whole, Date.now())),
      { headings: HEADINGS, columns },
      format,
    );
    return 0;
  },
};

const HEADINGS = {
  ID: "CONTAINER ID",
  Image: "IMAGE",
  Command: "COMMAND",
  CreatedAt: "CREATED AT",
  RunningFor: "CREATED",
  Ports: "PORTS",
  State: "STATE",
  Status: "STATUS",
  Size: "SIZE",
  Names: "NAMES",
  Labels: "LABELS",
  Mounts: "MOUNTS",
  Networks: "NETWORKS",
  LocalVolumes: "LOCAL VOLUMES",
  Boundary: "BOUNDARY",
};

export function rowOf(workload: WorkloadSummary, whole: boolean, nowMs: number): Row {
  const labels = workload.Labels ?? {};
  const cut = (text: string, length: number): string => (whole || text.length <= length ? text : `${text.slice(0, length - 1)}…`);
  const boundary = workload.Boundary;
  const names = workload.Names.map((name) => name.replace(/^\//, ""));
  const mounts = (workload.Mounts ?? []).map((mount) => mount.Name ?? mount.Source ?? "");
  return {
    Boundary: boundary === undefined ? "" : `${boundary.kind}${boundary.emulated ? " (emulated)" : ""}`,
    Command: JSON.stringify(cut(workload.Command, 20)),
    CreatedAt: `${new Date(workload.Created * 1000).toISOString().replace("T", " ").replace(".000Z", "")} +0000 UTC`,
    ID: whole ? workload.Id : workload.Id.slice(0, 12),
    Image: workload.Image.startsWith("sha256:") && !whole ? workload.Image.slice(7, 19) : workload.Image,
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    LocalVolumes: String((workload.Mounts ?? []).filter((mount) => mount.Type === "volume").length),
    Mounts: mounts.map((mount) => cut(mount, 15)).join(","),
    Names: names.join(","),
    Networks: Object.keys(workload.NetworkSettings?.Networks ?? {}).join(","),
    Ports: showPorts(workload.Ports),
    RunningFor: `${showDuration(nowMs - workload.Created * 1000)} ago`,
    Size:
      workload.SizeRw === undefined
        ? "0B"
        : `${showBytes(workload.SizeRw)}${workload.SizeRootFs === undefined ? "" : ` (virtual ${showBytes(workload.SizeRootFs)})`}`,
    State: workload.State,
    Status: workload.Status,
    Label: (name: unknown) => labels[String(name)] ?? "",
  };
}

/** `0.0.0.0:8080->80/tcp`; neighbours with the same shape are joined to ranges. */
export function showPorts(ports: readonly PortSummary[]): string {
  const sorted = [...ports].sort(
    (left, right) => (left.IP ?? "").localeCompare(right.IP ?? "") || left.PrivatePort - right.PrivatePort || left.Type.localeCompare(right.Type),
  );
  const groups: { first: PortSummary; last: PortSummary }[] = [];
  for (const port of sorted) {
    const group = groups.at(-1);
    const follows =
      group !== undefined &&
      group.last.IP === port.IP &&
      group.last.Type === port.Type &&
      port.PrivatePort === group.last.PrivatePort + 1 &&
      (port.PublicPort === undefined
        ? group.last.PublicPort === undefined
        : group.last.PublicPort !== undefined && port.PublicPort === group.last.PublicPort + 1);
    if (follows) group.last = port;
    else groups.push({ first: port, last: port });
  }
  const range = (first: number, last: number): string => (first === last ? String(first) : `${first}-${last}`);
  return groups
    .map(({ first, last }) => {
      const inside = `${range(first.PrivatePort, last.PrivatePort)}/${first.Type}`;
      if (first.PublicPort === undefined) return inside;
      const address = (first.IP ?? "").includes(":") ? `[${first.IP}]` : (first.IP ?? "");
      return `${address}:${range(first.PublicPort, last.PublicPort ?? first.PublicPort)}->${inside}`;
    })
    .join(", ");
}
