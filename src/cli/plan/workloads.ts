/** What is planned for: words, the services of a compose file, or what runs now. */

import { type Client, Failure, type PlanQuestion } from "../../../sdk/src/index.ts";
import { isRecord, readDocument } from "../advice/documents.ts";
import { REQUIREMENTS_LABEL } from "../advice/needs-label.ts";
import { parseBytes } from "../format/quantity.ts";
import { readCount, readPairs } from "./pairs.ts";

export type Asked = PlanQuestion["workloads"][number];

const SIZES = ["memory", "cpus", "disk"] as const;
const NEEDS = ["trust", "tenancy", "state", "compliance", "artifact", "lifetime"] as const;

export function fromFlags(text: string): Asked {
  const pairs = readPairs(text, "--workload", ["name", "count", "isolation", ...SIZES, ...NEEDS]);
  const isolation = pairs.get("isolation");
  const needs = NEEDS.flatMap((need) => (pairs.has(need) ? [[need, pairs.get(need)] as const] : []));
  return {
    name: pairs.get("name") ?? "workload",
    count: Math.ceil(readCount(pairs.get("count") ?? "1", "--workload count")),
    requirements: { ...Object.fromEntries(needs), size: sizeOf(pairs.get("memory"), pairs.get("cpus"), pairs.get("disk")) },
    ...(isolation === undefined ? {} : { isolation }),
  };
}

/** Services with their replicas; limits are taken for what an instance uses. */
export async function fromCompose(path: string): Promise<readonly Asked[]> {
  const document = await readDocument(path);
  const services = isRecord(document) ? document["services"] : undefined;
  if (!isRecord(services)) throw new Failure("INVALID_SPEC", `${path} has no services`, { remedy: "Give a compose file." });
  return Object.entries(services).map(([name, service]) => fromService(name, isRecord(service) ? service : {}));
}

function fromService(name: string, service: Readonly<Record<string, unknown>>): Asked {
  const deploy = record(service["deploy"]);
  const limits = record(record(deploy["resources"])["limits"]);
  const isolation = text(service["isolation"]) || text(service["runtime"]);
  const labels = record(service["labels"]);
  const said = text(labels[REQUIREMENTS_LABEL]);
  const given: unknown = said === "" ? {} : parseLabel(name, said);
  const size = sizeOf(text(service["mem_limit"]) || text(limits["memory"]), text(service["cpus"]) || text(limits["cpus"]), undefined);
  return {
    name,
    count: Number(service["scale"] ?? deploy["replicas"] ?? 1) || 1,
    requirements: { size, ...record(given) },
    ...(isolation === "" ? {} : { isolation }),
  };
}

function parseLabel(name: string, said: string): unknown {
  try {
    return JSON.parse(said);
  } catch (cause) {
    throw new Failure("INVALID_SPEC", `the label ${REQUIREMENTS_LABEL} of ${name} is not JSON`, { cause });
  }
}

/** Workloads of one image and boundary are one kind; it is as large as the largest of them is now. */
export async function fromRunning(client: Client): Promise<readonly Asked[]> {
  const kinds = new Map<string, { name: string; isolation: string; count: number; memory: number }>();
  for (const { Id } of await client.workloads.list()) {
    const [inspected, used] = await Promise.all([client.workloads.inspect(Id), memoryOf(client, Id)]);
    const isolation = record(record(inspected)["Boundary"])["kind"];
    const image = text(record(record(inspected)["Config"])["Image"]) || Id.slice(0, 12);
    const key = `${image} ${text(isolation)}`;
    const known = kinds.get(key) ?? { name: image, isolation: text(isolation), count: 0, memory: 0 };
    kinds.set(key, { ...known, count: known.count + 1, memory: Math.max(known.memory, used) });
  }
  return [...kinds.values()].map(({ name, isolation, count, memory }) => ({
    name,
    count,
    requirements: { size: memory > 0 ? { memoryBytes: memory } : {} },
    ...(isolation === "" ? {} : { isolation }),
  }));
}

async function memoryOf(client: Client, id: string): Promise<number> {
  for await (const { memory_stats } of client.workloads.stats(id, { stream: false, oneShot: true })) return memory_stats.usage ?? 0;
  return 0;
}

function sizeOf(memory: string | undefined, cpus: string | undefined, disk: string | undefined): object {
  return {
    ...(memory ? { memoryBytes: parseBytes(memory, "memory") } : {}),
    ...(cpus ? { cpus: readCount(cpus, "cpus") } : {}),
    ...(disk ? { diskBytes: parseBytes(disk, "disk") } : {}),
  };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

function text(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}
