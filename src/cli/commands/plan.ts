import type { PlanQuestion } from "../../../sdk/src/index.ts";
import { type Command, UsageError } from "../command.ts";
import { printLine, print } from "../output.ts";
import { renderPlan } from "../plan/page.ts";
import { fromCompose, fromFlags, fromRunning, type Asked } from "../plan/workloads.ts";
import type { Flags } from "../flags.ts";
import { readHostType, readTypeFile, readTypeFlag } from "../plan/host-type.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  description:
    "Say how many hosts so many workloads need behind each boundary, and mixed: what runs out first, what it costs, what is left, and how many stop with one kernel or one host. Costs of the boundaries are those that `bulkhead compare` measured here. Exit code 1 where a workload fits nowhere.",
  options: [
    {
      name: "workload",
      short: "w",
      kind: "list",
      value: "KEY=VALUE,...",
      help: "name, count, memory, cpus, disk of one instance; isolation; trust, tenancy, state, compliance, artifact as `advise` has them",
    },
    { name: "file", short: "f", kind: "list", value: "FILE", help: "A compose file: its services, their replicas and limits", completes: "files" },
    { name: "running", kind: "flag", help: "What runs now, with what it uses" },
    {
      name: "host",
      kind: "text",
      value: "KEY=VALUE,...",
      help: "name, cpus, memory, disk, price (a month), reserve (memory that the host keeps)",
      initially: "this host",
    },
    {
      name: "host-type",
      kind: "list",
      value: "NAME=CPUS,MEMORY,DISK,PRICE",
      help: "One of several kinds of host with its price a month: the cheapest, or the cheapest mix, is chosen",
    },
    { name: "host-types", kind: "text", value: "FILE", help: "The same as a JSON or YAML list of {name, cpus, memory, disk, price}", completes: "files" },
    { name: "assume", kind: "list", value: "KEY=VALUE", help: "As for `advise`: kvm, runsc, memory, cpus …" },
    { name: "json", kind: "flag", help: "The plan as one JSON document" },
  ],
  examples: [
    { command: "bulkhead plan -w name=web,count=200,memory=256m,cpus=0.25 --host cpus=16,memory=64g,disk=500g,price=120", says: "200 of a kind" },
    { command: "bulkhead plan -w name=jobs,count=1000,memory=64m,trust=untrusted --assume kvm=yes", says: "strangers' jobs on hosts with KVM" },
    {
      command: "bulkhead plan -w name=web,count=200,memory=256m,cpus=0.25 --host-type small=4,16g,100g,30 --host-type large=16,64g,500g,110",
      says: "which hosts to rent",
    },
    { command: "bulkhead plan --file compose.yaml --json", says: "for a script" },
    { command: "bulkhead plan --running", says: "what is here now, and how much more would fit" },
  ],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    const asked: Asked[] = [
      ...flags.list("workload").map(fromFlags),
      ...(await Promise.all(flags.list("file").map(fromCompose))).flat(),
      ...(flags.on("running") ? await fromRunning(client) : []),
    ];
    if (asked.length === 0) throw new UsageError("nothing to plan for", "bulkhead plan -w name=web,count=100,memory=256m, or --file, or --running");
    const question: PlanQuestion = { workloads: asked, assume: flags.list("assume"), ...(await readHosts(flags)) };
    const plan = await client.planner.plan(question);
    if (flags.on("json")) printLine(JSON.stringify(plan, undefined, 2));
    else print(renderPlan(plan));
    return plan.unplaced.length === 0 ? 0 : 1;
  },
};

async function readHosts(flags: Flags): Promise<Pick<PlanQuestion, "host" | "hostTypes">> {
  const host = flags.text("host");
  const file = flags.text("host-types");
  const hostTypes = [...flags.list("host-type").map(readTypeFlag), ...(file === undefined ? [] : await readTypeFile(file))];
  if (hostTypes.length > 0 && host !== undefined) throw new UsageError("--host is one kind of host, and --host-type one of several", "give one of them");
  return host === undefined ? (hostTypes.length === 0 ? {} : { hostTypes }) : { host: readHostType(host) };
}
