/** Budgets and sizes: numbers that a boundary's figures, or the host, must keep. The other half of what rules out. */

import type { Candidate } from "./abilities.ts";
import type { Figure, Figures, Metric } from "./figures.ts";
import type { Host } from "./host.ts";
import type { Needs } from "./needs.ts";
import type { Requirements } from "./requirements.ts";

export interface Excess {
  readonly rule: string;
  readonly because: string;
  readonly source: string;
}

interface Budget {
  readonly rule: string;
  readonly metric: Metric;
  readonly read: (requirements: Requirements) => number | undefined;
  readonly say: (figure: string, budget: number) => string;
}

const BUDGETS: readonly Budget[] = [
  {
    rule: "budget-startup",
    metric: "startup",
    read: ({ budgets }) => budgets?.startupMs,
    say: (figure, budget) => `it starts in ${figure}, and ${budget} ms are allowed`,
  },
  {
    rule: "budget-memory",
    metric: "memory",
    read: ({ budgets }) => budgets?.memoryOverheadBytes,
    say: (figure, budget) => `each instance takes ${figure} beside the workload's own, and ${megabytes(budget)} are allowed`,
  },
  {
    rule: "budget-cpu",
    metric: "cpu",
    read: ({ budgets }) => budgets?.cpuOverheadPercent,
    say: (figure, budget) => `computing costs ${figure} more than on the plain host, and ${budget} % are allowed`,
  },
];

/** Memory left to the host itself. */
const RESERVE = 0.1;

export function excessesOf(candidate: Candidate, needs: Needs, given: { readonly figures: Figures; readonly host: Host }): Excess[] {
  const { requirements } = needs;
  const found: Excess[] = [];
  for (const budget of BUDGETS) {
    const allowed = budget.read(requirements);
    if (allowed === undefined) continue;
    const figure = given.figures.of(budget.metric, candidate);
    if (figure.value > allowed) found.push({ rule: budget.rule, because: budget.say(describe(figure), allowed), source: sourceOf(figure) });
  }
  const dense = tooDense(candidate, needs, given);
  if (dense !== undefined) found.push(dense);
  return [...found, ...tooLarge(requirements, given.host)];
}

/** How many instances of one boundary the host's memory holds; where their own size was not said, by the boundary's part alone. */
export function capacityOf(candidate: Candidate, requirements: Requirements, given: { readonly figures: Figures; readonly host: Host }): number {
  const each = (requirements.size?.memoryBytes ?? 0) + given.figures.of("memory", candidate).value;
  return Math.floor((given.host.memoryBytes * (1 - RESERVE)) / each);
}

function tooDense(candidate: Candidate, { requirements }: Needs, given: { readonly figures: Figures; readonly host: Host }): Excess | undefined {
  const wanted = requirements.budgets?.instancesPerHost;
  if (wanted === undefined) return undefined;
  const figure = given.figures.of("memory", candidate);
  // Without a measurement the books' own bound for machines stands: 10 to 50 a host.
  const bookBound = figure.measuredAt === undefined && candidate.abilities.has("own-kernel") ? 50 : Number.POSITIVE_INFINITY;
  const capacity = Math.min(bookBound, capacityOf(candidate, requirements, given));
  if (capacity >= wanted) return undefined;
  const why =
    capacity === bookBound ? "the textbooks give a host 10 to 50 machines" : `${megabytes(given.host.memoryBytes)} of memory hold ${capacity} of them`;
  return { rule: "budget-density", because: `${wanted} instances a host are wanted, and ${why}`, source: sourceOf(figure) };
}

function tooLarge({ size }: Requirements, host: Host): Excess[] {
  const found: Excess[] = [];
  if (size?.memoryBytes !== undefined && size.memoryBytes > host.memoryBytes * (1 - RESERVE))
    found.push({
      rule: "size-memory",
      because: `it needs ${megabytes(size.memoryBytes)}, and the host has ${megabytes(host.memoryBytes)}`,
      source: "this host",
    });
  if (size?.cpus !== undefined && size.cpus > host.processors)
    found.push({ rule: "size-cpus", because: `it needs ${size.cpus} processors, and the host has ${host.processors}`, source: "this host" });
  return found;
}

export function sourceOf(figure: Figure): string {
  return figure.measuredAt === undefined ? `textbook figure: ${figure.command}` : `measured here on ${figure.measuredAt}: ${figure.command}`;
}

export function describe(figure: Figure): string {
  if (figure.unit === "bytes") return megabytes(figure.value);
  if (figure.unit === "%") return `${round(figure.value)} %`;
  return figure.value >= 10_000 ? `${round(figure.value / 1000)} s` : `${round(figure.value)} ms`;
}

export function megabytes(bytes: number): string {
  return bytes >= 1e9 ? `${round(bytes / 1e9)} GB` : `${round(bytes / 1e6)} MB`;
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : Number(value.toPrecision(2)).toString();
}
