/** So many workloads, hosts of such a kind: how many of them, behind which boundary, at what price, and who falls with whom. */

import { type Choice, choicesFor, type Host, type Measurements, type Requirements } from "../advisor/index.ts";
import type { BoundaryKind } from "../contract/boundary.ts";
import { type Amounts, fits, type Group, pack, type Packing, RESOURCES, type Resource, share } from "./packing.ts";

export interface PlannedWorkload {
  readonly name: string;
  readonly count: number;
  readonly requirements: Requirements;
  /** Fixed by whoever asks; else what the requirements leave. */
  readonly boundary?: BoundaryKind;
}

export interface HostType {
  readonly name: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** In whatever currency; absent: no price is said. */
  readonly pricePerMonth?: number;
  /** Kept for the host itself. */
  readonly reservedMemoryBytes: number;
}

export interface Question {
  readonly workloads: readonly PlannedWorkload[];
  readonly hostType: HostType;
  /** What the boundaries are and cost, found out or assumed. */
  readonly host: Host;
  readonly measurements?: Measurements;
}

export interface Fleet {
  readonly hosts: number;
  readonly hostsAtLeast: number;
  readonly costPerMonth: number | null;
  readonly runsOutFirst: Resource;
  /** Percent of each resource that is left, over all hosts. */
  readonly headroomPercent: Amounts;
  /** How many instances stop with one: `kernel` the most that share one kernel, `host` the most on one host. */
  readonly blastRadius: { readonly kernel: number; readonly host: number };
}

export interface BoundaryPlan {
  readonly boundary: BoundaryKind;
  /** Null where some workload may not be behind it: `against` says which, and why. */
  readonly fleet: Fleet | null;
  readonly against: readonly { readonly workload: string; readonly because: string }[];
  readonly perInstance: { readonly memoryBytes: number; readonly cpuPercent: number; readonly measuredAt: string | null; readonly from: string };
}

export interface Plan {
  readonly schemaVersion: 1;
  readonly hostType: HostType;
  readonly boundaries: readonly BoundaryPlan[];
  /** Each workload behind the cheapest boundary that meets its requirements; null where one has none. */
  readonly mixed: { readonly fleet: Fleet; readonly assignments: readonly Assignment[] } | null;
  readonly unplaced: readonly { readonly workload: string; readonly because: string }[];
  readonly assumptions: readonly string[];
  readonly method: string;
}

export interface Assignment {
  readonly workload: string;
  readonly count: number;
  readonly boundary: BoundaryKind;
  /** Of one instance with its boundary. */
  readonly needs: Amounts;
  /** How many would fit a host that carries nothing else. */
  readonly perHost: number;
}

/** Where nobody said. */
const ASSUMED = { memoryBytes: 128 * 1024 * 1024, cpus: 0.1, diskBytes: 0 };
const METHOD =
  "Each workload takes, among the boundaries that its requirements leave, the one behind which an instance takes the smallest share of a host (the advisor's order among equals). Instances are packed first-fit decreasing by their largest share, with memory, processors and disk counted as reserved, nothing overcommitted. hostsAtLeast is the sum of the needs over what a host has: no plan has fewer.";

export interface Weighed {
  readonly workload: PlannedWorkload;
  readonly choices: readonly (Choice & { readonly needs: Amounts })[];
}

export function plan(question: Question): Plan {
  const capacity = capacityOf(question.hostType);
  const weighed = question.workloads.map((workload) => weigh(workload, question));
  const assigned = weighed.map(({ workload, choices }) => ({ workload, choice: cheapest(choices, capacity) }));
  const unplaced = assigned.flatMap(({ workload, choice }, index) =>
    choice === undefined ? [{ workload: workload.name, because: whyNot(weighed[index] as Weighed, capacity) }] : [],
  );
  const kinds = weighed[0]?.choices.map(({ boundary }) => boundary) ?? [];
  return {
    schemaVersion: 1,
    hostType: question.hostType,
    boundaries: kinds.map((boundary) => planBehind(boundary, weighed, question.hostType, capacity)),
    mixed: unplaced.length > 0 ? null : planMixed(assigned as readonly Assigned[], question.hostType, capacity),
    unplaced,
    assumptions: assumptionsOf(question),
    method: METHOD,
  };
}

interface Assigned {
  readonly workload: PlannedWorkload;
  readonly choice: Choice & { readonly needs: Amounts };
}

export function capacityOf({ cpus, memoryBytes, diskBytes, reservedMemoryBytes }: HostType): Amounts {
  return { memory: Math.max(0, memoryBytes - reservedMemoryBytes), cpu: cpus, disk: diskBytes };
}

export function weigh(workload: PlannedWorkload, { host: known, hostType, measurements }: Question): Weighed {
  const { requirements } = workload;
  const host = { ...known, memoryBytes: hostType.memoryBytes, processors: hostType.cpus };
  const size = { ...ASSUMED, ...requirements.size };
  const choices = choicesFor({ requirements, host, ...(measurements === undefined ? {} : { measurements }) }).map((choice) => ({
    ...choice,
    against: workload.boundary === undefined || workload.boundary === choice.boundary ? choice.against : [`${workload.boundary} is asked for`],
    needs: {
      memory: size.memoryBytes + choice.memory.value,
      cpu: size.cpus * (1 + choice.cpu.value / 100),
      disk: size.diskBytes,
    },
  }));
  return { workload, choices };
}

export function cheapest(choices: Weighed["choices"], capacity: Amounts): Weighed["choices"][number] | undefined {
  const possible = choices.filter(({ against, needs }) => against.length === 0 && fits(capacity, needs) > 0);
  return possible.toSorted((left, right) => share(left.needs, capacity) - share(right.needs, capacity) || (left.rank ?? 0) - (right.rank ?? 0))[0];
}

export function whyNot({ choices }: Weighed, capacity: Amounts): string {
  return choices.map((choice) => choice.against[0] ?? `${choice.boundary}: one instance is larger than a host (${tooMuch(choice.needs, capacity)})`).join("; ");
}

function tooMuch(needs: Amounts, capacity: Amounts): string {
  return RESOURCES.filter((resource) => needs[resource] > capacity[resource]).join(", ");
}

function planBehind(boundary: BoundaryKind, weighed: readonly Weighed[], hostType: HostType, capacity: Amounts): BoundaryPlan {
  const chosen = weighed.map(({ workload, choices }) => ({ workload, choice: choices.find((one) => one.boundary === boundary) as Assigned["choice"] }));
  const against = chosen.flatMap(({ workload, choice }) => choice.against.map((because) => ({ workload: workload.name, because })));
  const packing = against.length > 0 ? undefined : pack(chosen.map(groupOf), capacity);
  const [first] = chosen;
  const large = against.length > 0 || packing !== undefined ? [] : chosen.filter(({ choice }) => fits(capacity, choice.needs) === 0);
  return {
    boundary,
    fleet: packing === undefined ? null : fleetOf(packing, hostType, capacity),
    against: [
      ...against,
      ...large.map(({ workload, choice }) => ({ workload: workload.name, because: `one instance is larger than a host (${tooMuch(choice.needs, capacity)})` })),
    ],
    perInstance: {
      memoryBytes: first?.choice.memory.value ?? 0,
      cpuPercent: first?.choice.cpu.value ?? 0,
      measuredAt: first?.choice.memory.measuredAt ?? null,
      from: first?.choice.memory.command ?? "",
    },
  };
}

function planMixed(assigned: readonly Assigned[], hostType: HostType, capacity: Amounts): Plan["mixed"] {
  const packing = pack(assigned.map(groupOf), capacity);
  if (packing === undefined) return null;
  return {
    fleet: fleetOf(packing, hostType, capacity),
    assignments: assigned.map(({ workload, choice }) => ({
      workload: workload.name,
      count: workload.count,
      boundary: choice.boundary,
      needs: choice.needs,
      perHost: fits(capacity, choice.needs),
    })),
  };
}

export function groupOf({ workload, choice }: Assigned): Group {
  return { id: workload.name, count: workload.count, needs: choice.needs, sharesKernel: !choice.ownKernel };
}

function fleetOf(packing: Packing, { pricePerMonth }: HostType, capacity: Amounts): Fleet {
  const { hosts, used } = packing;
  const left = (resource: Resource): number =>
    capacity[resource] === 0 || hosts === 0 ? 100 : Math.max(0, 100 - (100 * used[resource]) / (hosts * capacity[resource]));
  const headroomPercent = { memory: round(left("memory")), cpu: round(left("cpu")), disk: round(left("disk")) };
  return {
    hosts,
    hostsAtLeast: packing.atLeast,
    costPerMonth: pricePerMonth === undefined ? null : round(pricePerMonth * hosts),
    runsOutFirst: RESOURCES.toSorted((a, b) => left(a) - left(b))[0] as Resource,
    headroomPercent,
    blastRadius: { kernel: Math.max(packing.mostSharing, packing.mostOnOne > 0 ? 1 : 0), host: packing.mostOnOne },
  };
}

function assumptionsOf({ workloads, hostType, measurements }: Question): string[] {
  const silent = (field: "memoryBytes" | "cpus"): string[] =>
    workloads.filter(({ requirements }) => requirements.size?.[field] === undefined).map(({ name }) => name);
  const [memory, cpus] = [silent("memoryBytes"), silent("cpus")];
  return [
    ...(memory.length > 0 ? [`an instance of ${memory.join(", ")} is taken to use 128 MiB: nobody said`] : []),
    ...(cpus.length > 0 ? [`an instance of ${cpus.join(", ")} is taken to use a tenth of a processor: nobody said`] : []),
    `${Math.round(hostType.reservedMemoryBytes / 1024 ** 2)} MiB of each host are kept for the host itself`,
    ...(measurements === undefined ? ["nothing was measured on this host yet: the boundaries' own costs are the textbooks'. Run `bulkhead compare`"] : []),
  ];
}

export function round(value: number): number {
  return Math.round(value * 100) / 100;
}
