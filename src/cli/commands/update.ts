import { UsageError, type Command } from "../command.ts";
import { parseBytes } from "../format/quantity.ts";
import { tell } from "../output.ts";
import { forEach } from "../report.ts";
import { parseCpus, parseRestart } from "../specs/limits.ts";

export const command: Command = {
  usage: "[OPTIONS] WORKLOAD [WORKLOAD...]",
  description: "Change the limits of workloads while they run.",
  options: [
    { name: "cpu-shares", short: "c", kind: "number", value: "weight", help: "Relative share of processor time" },
    { name: "cpus", kind: "text", value: "number", help: "Processors' worth of time" },
    { name: "cpuset-cpus", kind: "text", value: "list", help: "Processors that may be used: 0-2,5" },
    { name: "memory", short: "m", kind: "text", value: "bytes", help: "Most memory" },
    { name: "memory-reservation", kind: "text", value: "bytes", help: "Memory that is kept for it under pressure" },
    { name: "memory-swap", kind: "text", value: "bytes", help: "Memory and swap together; -1 is unlimited swap" },
    { name: "pids-limit", kind: "number", value: "count", help: "Most processes; -1 is without limit" },
    { name: "restart", kind: "text", value: "policy", help: "no, always, unless-stopped, on-failure[:times]" },
  ],
  examples: [{ command: "bulkhead update --memory 128m --cpus 1 web", says: "more room" }],
  least: 1,
  completes: "workloads",
  run: ({ flags, args, client }) => {
    const bytes = (name: string): number => (flags.text(name) === "-1" ? -1 : parseBytes(flags.text(name) ?? "", `--${name}`));
    const change: Record<string, unknown> = {};
    if (flags.given("memory")) change["Memory"] = bytes("memory");
    if (flags.given("memory-swap")) change["MemorySwap"] = bytes("memory-swap");
    if (flags.given("memory-reservation")) change["MemoryReservation"] = bytes("memory-reservation");
    if (flags.given("cpus")) change["NanoCpus"] = parseCpus(flags.text("cpus") ?? "");
    if (flags.given("cpu-shares")) change["CpuShares"] = flags.number("cpu-shares");
    if (flags.given("cpuset-cpus")) change["CpusetCpus"] = flags.text("cpuset-cpus");
    if (flags.given("pids-limit")) change["PidsLimit"] = flags.number("pids-limit");
    if (flags.given("restart")) change["RestartPolicy"] = parseRestart(flags.text("restart") ?? "");
    if (Object.keys(change).length === 0) throw new UsageError("nothing to change was given");
    return forEach(args, "update", async (reference) => {
      const { Warnings } = await client.workloads.update(reference, change);
      for (const warning of Warnings ?? []) tell(`WARNING: ${warning}`);
      return reference;
    });
  },
};
