/**
 * Instances into hosts: first-fit decreasing by the resource of which an instance takes the largest share. Hosts that are alike are counted,
 * not listed, so that a million instances cost no more than a hundred. Never more than 11/9 of the best plus one for one resource (Johnson, 1973);
 * for several at once a heuristic, so the plan also says how few hosts there could be at the very least.
 */

export const RESOURCES = ["memory", "cpu", "disk"] as const;
export type Resource = (typeof RESOURCES)[number];
export type Amounts = Readonly<Record<Resource, number>>;

export interface Group {
  readonly id: string;
  readonly count: number;
  /** Of one instance. */
  readonly needs: Amounts;
  /** Its kernel is the host's. */
  readonly sharesKernel: boolean;
}

export interface Packing {
  readonly hosts: number;
  /** Fewer are impossible: the sum of what is needed over what a host has. */
  readonly atLeast: number;
  readonly used: Amounts;
  /** Most instances that one host carries. */
  readonly mostOnOne: number;
  /** Of those, the most that share the host's kernel. */
  readonly mostSharing: number;
  /** Hosts that carry alike, and what each of them carries. */
  readonly alike: readonly { readonly hosts: number; readonly used: Amounts }[];
}

/** Hosts that carry the same. */
interface Class {
  hosts: number;
  free: Amounts;
  instances: number;
  sharing: number;
}

/** Undefined where one instance alone is more than a host has; `tooLarge` of it says which. */
export function pack(groups: readonly Group[], capacity: Amounts): Packing | undefined {
  const classes: Class[] = [];
  const ordered = groups.toSorted((left, right) => share(right.needs, capacity) - share(left.needs, capacity) || left.id.localeCompare(right.id));
  for (const group of ordered) {
    let left = group.count;
    for (let index = 0; index < classes.length && left > 0; index++) left -= fill(classes, index, group, left);
    if (left > 0 && !open(classes, group, left, capacity)) return undefined;
  }
  const hosts = classes.reduce((sum, one) => sum + one.hosts, 0);
  const used = sum(groups);
  const least = RESOURCES.map((resource) => (used[resource] === 0 ? 0 : Math.ceil(used[resource] / capacity[resource] - 1e-9)));
  return {
    hosts,
    atLeast: Math.max(0, ...least),
    used,
    mostOnOne: Math.max(0, ...classes.map(({ instances }) => instances)),
    mostSharing: Math.max(0, ...classes.map(({ sharing }) => sharing)),
    alike: classes.map(({ hosts: count, free }) => ({ hosts: count, used: take(capacity, free, 1) })),
  };
}

export function share(needs: Amounts, capacity: Amounts): number {
  return Math.max(...RESOURCES.map((resource) => (needs[resource] === 0 ? 0 : needs[resource] / capacity[resource])));
}

export function sum(groups: readonly Group[]): Amounts {
  const of = (resource: Resource): number => groups.reduce((total, { count, needs }) => total + count * needs[resource], 0);
  return { memory: of("memory"), cpu: of("cpu"), disk: of("disk") };
}

/** How many of the group a host with so much left takes. */
export function fits(free: Amounts, needs: Amounts): number {
  return Math.min(...RESOURCES.map((resource) => (needs[resource] === 0 ? Number.MAX_SAFE_INTEGER : Math.floor(free[resource] / needs[resource] + 1e-9))));
}

/** Puts what fits into the hosts of one class, splits off those that take none or fewer, and says how many were put. */
function fill(classes: Class[], index: number, group: Group, wanted: number): number {
  const present = classes[index] as Class;
  const each = fits(present.free, group.needs);
  if (each === 0) return 0;
  const full = Math.min(present.hosts, Math.floor(wanted / each));
  const rest = full < present.hosts ? wanted - full * each : 0;
  const parts = [
    withMore(present, group, each, full),
    withMore(present, group, rest, rest > 0 ? 1 : 0),
    withMore(present, group, 0, present.hosts - full - (rest > 0 ? 1 : 0)),
  ];
  classes.splice(index, 1, ...parts.filter(({ hosts }) => hosts > 0));
  return full * each + rest;
}

function open(classes: Class[], group: Group, count: number, capacity: Amounts): boolean {
  const each = fits(capacity, group.needs);
  if (each === 0) return false;
  const empty: Class = { hosts: 0, free: capacity, instances: 0, sharing: 0 };
  const full = Math.floor(count / each);
  const rest = count - full * each;
  classes.push(...[withMore(empty, group, each, full), withMore(empty, group, rest, rest > 0 ? 1 : 0)].filter(({ hosts }) => hosts > 0));
  return true;
}

/** So many hosts, each with so many instances more. */
function withMore({ free, instances, sharing }: Class, { needs, sharesKernel }: Group, count: number, hosts: number): Class {
  return { hosts, free: take(free, needs, count), instances: instances + count, sharing: sharing + (sharesKernel ? count : 0) };
}

function take(free: Amounts, needs: Amounts, count: number): Amounts {
  return { memory: free.memory - needs.memory * count, cpu: free.cpu - needs.cpu * count, disk: free.disk - needs.disk * count };
}
