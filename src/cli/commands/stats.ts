import type { Client, StatsDocument } from "../../../sdk/src/index.ts";
import type { Command, Invocation } from "../command.ts";
import { FORMAT_OPTIONS, formatOf, showListing, type Row } from "../format/listing.ts";
import { showBinaryBytes, showBytes } from "../format/quantity.ts";
import { isColourful, print } from "../output.ts";

export const command: Command = {
  usage: "[OPTIONS] [WORKLOAD...]",
  description:
    "What running workloads use. Processor time, disk and network are the host's figures. Memory is what counts against the limit: what a machine takes of the host beyond it, `compare` measures.",
  options: [
    { name: "all", short: "a", kind: "flag", help: "Also those that do not run" },
    ...FORMAT_OPTIONS,
    { name: "no-stream", kind: "flag", help: "Once, then end" },
    { name: "no-trunc", kind: "flag", help: "Nothing cut" },
  ],
  examples: [{ command: "bulkhead stats --no-stream --json", says: "one reading for a script" }],
  least: 0,
  completes: "running",
  run: async (invocation) => (invocation.flags.on("no-stream") ? readOnce(invocation) : readOn(invocation)),
};

const LISTING = {
  headings: {
    ID: "CONTAINER ID",
    Container: "CONTAINER",
    Name: "NAME",
    CPUPerc: "CPU %",
    MemUsage: "MEM USAGE / LIMIT",
    MemPerc: "MEM %",
    NetIO: "NET I/O",
    BlockIO: "BLOCK I/O",
    PIDs: "PIDS",
  },
  columns: ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"],
};

async function references({ args, client, flags }: Invocation): Promise<readonly string[]> {
  if (args.length > 0) return args;
  return (await client.workloads.list({ all: flags.on("all") })).map((workload) => workload.Id);
}

async function readOnce(invocation: Invocation): Promise<number> {
  const { client, flags } = invocation;
  const rows = await Promise.all((await references(invocation)).map(async (reference) => first(client, reference, flags.on("no-trunc"))));
  print(showListing(rows, LISTING, formatOf(flags)));
  return 0;
}

async function first(client: Client, reference: string, whole: boolean): Promise<Row> {
  for await (const reading of client.workloads.stats(reference, { stream: false })) return statsRow(reference, reading, whole);
  return emptyRow(reference);
}

/** A new table whenever all have been read anew; on a terminal in the place of the old one. */
async function readOn(invocation: Invocation): Promise<number> {
  const { client, flags } = invocation;
  const format = formatOf(flags);
  const whole = flags.on("no-trunc");
  const rows = new Map<string, Row>();
  const names = await references(invocation);
  if (names.length === 0) {
    print(showListing([], LISTING, format));
    return 0;
  }
  const live = isColourful(1) && format !== "json";
  const draw = (): void => print(`${live ? "\u001b[2J\u001b[H" : ""}${showListing([...rows.values()], LISTING, format)}`);
  const fresh = new Set<string>();
  for (const name of names) rows.set(name, emptyRow(name));
  await Promise.all(
    names.map(async (name) => {
      for await (const reading of client.workloads.stats(name, { stream: true })) {
        rows.set(name, statsRow(name, reading, whole));
        fresh.add(name);
        if (fresh.size >= rows.size) {
          fresh.clear();
          draw();
        }
      }
      rows.delete(name);
    }),
  );
  return 0;
}

function emptyRow(reference: string): Row {
  return {
    ID: reference.slice(0, 12),
    Container: reference,
    Name: "--",
    CPUPerc: "--",
    MemUsage: "-- / --",
    MemPerc: "--",
    NetIO: "--",
    BlockIO: "--",
    PIDs: "--",
  };
}

export function statsRow(reference: string, reading: StatsDocument, whole: boolean): Row {
  const { cpu_stats: now, precpu_stats: before, memory_stats: memory } = reading;
  const used = now.cpu_usage.total_usage - before.cpu_usage.total_usage;
  const passed = (now.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0);
  const cpu = used > 0 && passed > 0 ? (used / passed) * (now.online_cpus ?? 1) * 100 : 0;
  const cache = memory.stats?.["inactive_file"] ?? memory.stats?.["total_inactive_file"] ?? 0;
  const usage = Math.max(0, (memory.usage ?? 0) - cache);
  const limit = memory.limit ?? 0;
  const networks = Object.values(reading.networks ?? {});
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const disk = (op: string): number =>
    sum((reading.blkio_stats?.io_service_bytes_recursive ?? []).filter((entry) => entry.op.toLowerCase() === op).map((entry) => entry.value));
  const id = reading.id ?? reference;
  return {
    ID: whole ? id : id.slice(0, 12),
    Container: reference,
    Name: (reading.name ?? "").replace(/^\//, ""),
    CPUPerc: `${cpu.toFixed(2)}%`,
    MemUsage: `${showBinaryBytes(usage)} / ${showBinaryBytes(limit)}`,
    MemPerc: `${limit > 0 ? ((usage / limit) * 100).toFixed(2) : "0.00"}%`,
    NetIO: `${showBytes(sum(networks.map((one) => one.rx_bytes)))} / ${showBytes(sum(networks.map((one) => one.tx_bytes)))}`,
    BlockIO: `${showBytes(disk("read"))} / ${showBytes(disk("write"))}`,
    PIDs: String(reading.pids_stats.current ?? 0),
  };
}
