/**
 * Several host types with prices: which of them, or which mix, carries the workloads at the least price.
 *
 * Tried are each type alone, each pair, and all together. In each of these sets a workload goes whole to the type and the boundary where one
 * instance takes the least price: the price of the host times the largest share that it takes of a resource. What then lies on a type is packed
 * first-fit decreasing, and each host is exchanged for the cheapest type that still holds what it carries. The cheapest sum wins. A heuristic,
 * so the bound that no mix can pass stands beside it.
 */

import { Failure } from "../contract/failure.ts";
import { type Amounts, fits, pack, RESOURCES, share } from "./packing.ts";
import {
  type Assignment,
  capacityOf,
  cheapest,
  type Fleet,
  groupOf,
  type HostType,
  plan,
  type Plan,
  type Question,
  round,
  type Weighed,
  weigh,
} from "./plan.ts";

export interface TypedPlan extends Plan {
  readonly hostTypes: {
    /** Everything on one type, mixed behind boundaries; cheapest first, and last those that cannot carry everything. */
    readonly each: readonly { readonly hostType: string; readonly fleet: Fleet | null }[];
    /** Null where a workload fits no type. */
    readonly cheapest: Mix | null;
    readonly method: string;
  };
}

export interface Mix {
  readonly costPerMonth: number;
  /** No mix of these types costs less. */
  readonly costAtLeast: number;
  readonly hosts: readonly { readonly hostType: string; readonly count: number; readonly costPerMonth: number }[];
  /** `hostType`: for which it was packed; the last hosts of those may have been exchanged for cheaper ones. */
  readonly assignments: readonly (Assignment & { readonly hostType: string })[];
}

const METHOD =
  "tried: each type alone, each pair (where types and workloads are few), all together; in each set a workload goes whole to the type and boundary where one instance takes the least price (price × its largest share of a resource); packed first-fit decreasing; each host exchanged for the cheapest type that holds what it carries; the cheapest sum wins. A heuristic: no mix costs less than the bound (for each resource, every unit of it at the cheapest price at which it is sold).";

/** Pairs times workloads, beyond which pairs are left out: an answer shall take no seconds. */
const MOST_PACKED = 10_000;

interface Priced {
  readonly type: HostType;
  readonly price: number;
  readonly capacity: Amounts;
  readonly weighed: readonly Weighed[];
}

/** As `plan` for the cheapest type that carries all by itself, with the choice of types beside it. Rejects INVALID_SPEC without prices. */
export function planTypes(question: Omit<Question, "hostType">, types: readonly HostType[]): TypedPlan {
  const priced = types.map((type) => priceType(question, type, types));
  const plans = types.map((hostType) => plan({ ...question, hostType }));
  const costOf = ({ mixed }: Plan): number => mixed?.fleet.costPerMonth ?? Number.POSITIVE_INFINITY;
  const ordered = plans.toSorted((left, right) => costOf(left) - costOf(right) || left.hostType.name.localeCompare(right.hostType.name));
  return {
    ...(ordered[0] as Plan),
    hostTypes: {
      each: ordered.map(({ hostType, mixed }) => ({ hostType: hostType.name, fleet: mixed?.fleet ?? null })),
      cheapest: findCheapest(priced, question.workloads.length),
      method: METHOD,
    },
  };
}

function priceType(question: Omit<Question, "hostType">, type: HostType, types: readonly HostType[]): Priced {
  if (type.pricePerMonth === undefined)
    throw new Failure("INVALID_SPEC", `the host type ${JSON.stringify(type.name)} has no price`, {
      remedy: "give each type a price: there is nothing else to choose by",
    });
  if (types.filter(({ name }) => name === type.name).length > 1)
    throw new Failure("INVALID_SPEC", `two host types are called ${JSON.stringify(type.name)}`, { remedy: "give each a name of its own" });
  const weighed = question.workloads.map((workload) => weigh(workload, { ...question, hostType: type }));
  return { type, price: type.pricePerMonth, capacity: capacityOf(type), weighed };
}

function findCheapest(types: readonly Priced[], workloads: number): Mix | null {
  const pairs = types.flatMap((left, index) => types.slice(index + 1).map((right) => [left, right]));
  const sets = [...types.map((type) => [type]), ...(pairs.length * workloads > MOST_PACKED ? [] : pairs), types];
  const mixes = sets.flatMap((set) => mixOf(set, types) ?? []);
  return mixes.reduce<Mix | null>((best, mix) => (best === null || mix.costPerMonth < best.costPerMonth ? mix : best), null);
}

interface Placed {
  readonly on: Priced;
  readonly workload: Weighed["workload"];
  readonly choice: Weighed["choices"][number];
}

function mixOf(set: readonly Priced[], all: readonly Priced[]): Mix | undefined {
  const workloads = set[0]?.weighed.length ?? 0;
  const placed = Array.from({ length: workloads }, (_, index) => place(set, index));
  if (!placed.every((one) => one !== undefined)) return undefined;
  const counts = new Map<Priced, number>();
  for (const on of set) {
    const here = placed.filter((one) => one.on === on);
    for (const { hosts, used } of pack(here.map(groupOf), on.capacity)?.alike ?? []) {
      const type = exchange(on, used, { here, all });
      counts.set(type, (counts.get(type) ?? 0) + hosts);
    }
  }
  const hosts = all.flatMap((on) => {
    const count = counts.get(on) ?? 0;
    return count === 0 ? [] : [{ hostType: on.type.name, count, costPerMonth: round(count * on.price) }];
  });
  return {
    costPerMonth: round(hosts.reduce((sum, { costPerMonth }) => sum + costPerMonth, 0)),
    costAtLeast: round(boundOf(all)),
    hosts,
    assignments: placed.map(({ on, workload, choice }) => ({
      workload: workload.name,
      count: workload.count,
      boundary: choice.boundary,
      needs: choice.needs,
      perHost: fits(on.capacity, choice.needs),
      hostType: on.type.name,
    })),
  };
}

/** Where one instance takes the least price; undefined where it fits none of them. */
function place(set: readonly Priced[], index: number): Placed | undefined {
  const possible = set.flatMap((on) => {
    const { workload, choices } = on.weighed[index] as Weighed;
    const choice = cheapest(choices, on.capacity);
    return choice === undefined ? [] : [{ on, workload, choice, price: on.price * share(choice.needs, on.capacity) }];
  });
  return possible.toSorted((left, right) => left.price - right.price || left.on.type.name.localeCompare(right.on.type.name))[0];
}

/** The cheapest type that holds what a host carries, and on which everything that may be on it may be as well. */
function exchange(on: Priced, used: Amounts, { here, all }: { readonly here: readonly Placed[]; readonly all: readonly Priced[] }): Priced {
  const may = (other: Priced): boolean =>
    here.every(({ workload, choice }) => {
      const same = other.weighed.find((one) => one.workload.name === workload.name)?.choices.find(({ boundary }) => boundary === choice.boundary);
      return same !== undefined && same.against.length === 0;
    });
  const cheaper = all.filter((other) => other.price < on.price && RESOURCES.every((resource) => used[resource] <= other.capacity[resource]) && may(other));
  return cheaper.toSorted((left, right) => left.price - right.price)[0] ?? on;
}

/** For each resource alone: every unit of it where it is cheapest. */
function boundOf(types: readonly Priced[]): number {
  const workloads = types[0]?.weighed ?? [];
  const of = (resource: (typeof RESOURCES)[number]): number =>
    workloads.reduce((sum, { workload }, index) => {
      const prices = types.flatMap(({ price, capacity, weighed }) =>
        (weighed[index]?.choices ?? [])
          .filter(({ against, needs }) => against.length === 0 && fits(capacity, needs) > 0)
          .map(({ needs }) => (needs[resource] === 0 ? 0 : (price * needs[resource]) / capacity[resource])),
      );
      return sum + workload.count * Math.min(...prices);
    }, 0);
  return Math.max(...RESOURCES.map(of));
}
