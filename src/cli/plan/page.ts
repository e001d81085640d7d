/** A plan as a page for people. */

import type { Fleet, PlanDocument } from "../../../sdk/src/index.ts";
import { showBytes } from "../format/quantity.ts";
import { layOut } from "../format/table.ts";
import { clean, colour } from "../output.ts";

const HEAD = ["BEHIND", "HOSTS", "AT LEAST", "A MONTH", "RUNS OUT", "MEMORY LEFT", "CPU LEFT", "STOP WITH A KERNEL", "WITH A HOST"];

export function renderPlan(plan: PlanDocument): string {
  const { hostType, boundaries, mixed, unplaced, assumptions, method } = plan;
  const possible = boundaries.flatMap(({ boundary, fleet }) => (fleet === null ? [] : [row(boundary, fleet)]));
  const impossible = boundaries
    .filter(({ fleet }) => fleet === null)
    .flatMap(({ boundary, against }) => against.slice(0, 2).map(({ workload, because }) => `${boundary}, for ${workload}: ${because}`));
  return `${[
    `${plan.hostTypes === undefined ? "Hosts" : "All on one type: hosts"} of ${hostType.cpus} processors, ${showBytes(hostType.memoryBytes)} of memory and ${showBytes(hostType.diskBytes)} of disk (${clean(hostType.name)})`,
    ...whichHosts(plan),
    "",
    layOut([HEAD, ...possible, ...(mixed === null ? [] : [row("mixed", mixed.fleet)])]),
    ...section(
      "Mixed",
      mixed === null
        ? []
        : mixed.assignments.map(
            ({ workload, count, boundary, needs, perHost }) =>
              `${count} × ${workload} behind ${boundary}: ${showBytes(needs.memory)} and ${round(needs.cpu)} processors each, at most ${perHost} on a host`,
          ),
    ),
    ...section("Cannot be", impossible),
    ...section(
      "Fits nowhere",
      unplaced.map(({ workload, because }) => `${workload}: ${because}`),
    ),
    ...section(
      "What a boundary adds to an instance",
      boundaries.map(
        ({ boundary, perInstance: { memoryBytes, cpuPercent, measuredAt, from } }) =>
          `${boundary} ${showBytes(memoryBytes)}, ${round(cpuPercent)} % of processor time (${measuredAt === null ? `textbook: ${from}` : `measured ${measuredAt}`})`,
      ),
    ),
    ...section("Assumed", assumptions),
    ...section("Method", [method]),
  ].join("\n")}\n`;
}

/** Where several types were to choose from. */
function whichHosts({ hostTypes }: PlanDocument): string[] {
  if (hostTypes === undefined) return [];
  const { each, cheapest, method } = hostTypes;
  const alone = each.map(({ hostType, fleet }) =>
    fleet === null ? `${hostType} alone: does not carry everything` : `${hostType} alone: ${fleet.hosts}, ${fleet.costPerMonth} a month`,
  );
  if (cheapest === null) return section("Which hosts", ["none of these types carries everything", ...alone]);
  const { hosts, costPerMonth, costAtLeast, assignments } = cheapest;
  return section("Which hosts", [
    `${hosts.map(({ count, hostType }) => `${count} × ${hostType}`).join(" and ")}: ${costPerMonth} a month, and no mix of these types costs less than ${costAtLeast}`,
    ...assignments.map(
      ({ workload, count, boundary, hostType, perHost }) => `${count} × ${workload} behind ${boundary}, packed for ${hostType}, at most ${perHost} on one`,
    ),
    ...alone,
    method,
  ]);
}

function row(name: string, { hosts, hostsAtLeast, costPerMonth, runsOutFirst, headroomPercent, blastRadius }: Fleet): string[] {
  const cells = [
    hosts,
    hostsAtLeast,
    costPerMonth ?? "-",
    runsOutFirst,
    `${Math.round(headroomPercent.memory)} %`,
    `${Math.round(headroomPercent.cpu)} %`,
    blastRadius.kernel,
    blastRadius.host,
  ];
  return [name, ...cells.map(String)];
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", colour(title, "bold"), ...lines.map((line) => `  ${clean(line)}`)];
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
