/**
 * The conformance suite: what every driver promises, shown on the fake anywhere and on each real boundary where the host has
 * it. After each case everything must be as it was before: a leak fails the case that made it.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { plainCall } from "../call.ts";
import type { ProbeReport } from "../driver.ts";
import { ADOPTION_CASES } from "./cases/adoption.ts";
import type { ConformanceCase } from "./cases/case.ts";
import { EXEC_CASES } from "./cases/exec.ts";
import { EXIT_CASES } from "./cases/exit.ts";
import { FACET_CASES } from "./cases/facets.ts";
import { FILE_CASES } from "./cases/files.ts";
import { LIFE_CASES } from "./cases/life.ts";
import { LIMIT_CASES } from "./cases/limits.ts";
import { LOG_CASES } from "./cases/log.ts";
import { REMOVAL_CASES } from "./cases/removal.ts";
import { STDIO_CASES } from "./cases/stdio.ts";
import { SURROUNDING_CASES } from "./cases/surroundings.ts";
import { TEMPLATE_CASES } from "./cases/templates.ts";
import type { ConformanceHarness, Unavailable } from "./harness.ts";
import { Stage } from "./stage.ts";

export const CONFORMANCE_CASES: Readonly<Record<string, readonly ConformanceCase[]>> = {
  life: LIFE_CASES,
  stdio: STDIO_CASES,
  exit: EXIT_CASES,
  exec: EXEC_CASES,
  surroundings: SURROUNDING_CASES,
  limits: LIMIT_CASES,
  facets: FACET_CASES,
  files: FILE_CASES,
  adoption: ADOPTION_CASES,
  removal: REMOVAL_CASES,
  log: LOG_CASES,
  templates: TEMPLATE_CASES,
};

/** Runs every case on one driver. A boundary that this host lacks is said with its finding, and nothing is run. */
export function describeConformance(
  name: string,
  makeHarness: () => Promise<ConformanceHarness | Unavailable>,
  options: { readonly timeoutMs?: number } = {},
): void {
  const timeout = options.timeoutMs ?? 60_000;
  describe(`conformance of ${name}`, () => {
    let harness: ConformanceHarness | undefined;
    let report: ProbeReport | undefined;
    let reason = "";

    beforeAll(async () => {
      const made = await makeHarness();
      if ("unavailable" in made) {
        reason = made.unavailable;
        return;
      }
      harness = made;
      report = await made.driver.probe(plainCall());
      if (!report.usable) reason = report.findings.map(({ what }) => what).join(" ");
    }, timeout * 5);

    afterAll(async () => harness?.close(), timeout);

    for (const [area, cases] of Object.entries(CONFORMANCE_CASES))
      describe(area, () => {
        for (const one of cases)
          it(one.title, { timeout }, async (context) => {
            if (harness === undefined || report === undefined || reason !== "") return context.skip(`${name}: ${reason}`);
            const lacking = missing(one, harness, report);
            if (lacking !== undefined) return context.skip(`${name}: ${lacking}`);
            await runCase(one, harness);
          });
      });
  });
}

/** One case on one harness, with its leak check. */
export async function runCase(one: ConformanceCase, harness: ConformanceHarness): Promise<void> {
  const before = await harness.snapshot();
  const stage = new Stage(harness);
  try {
    await one.run(stage);
  } finally {
    await stage.clear();
  }
  const after = await harness.snapshot();
  expect(after, `the case left something behind: ${tellDifference(before, after)}`).toEqual(before);
}

/** By name: a report that counts members says nothing to whoever was not there. */
function tellDifference(before: unknown, after: unknown): string {
  const was = new Map(Object.entries(Object(before)));
  const changed = Object.entries(Object(after)).filter(([kind, found]) => JSON.stringify(found) !== JSON.stringify(was.get(kind)));
  return changed.map(([kind, found]) => `${kind} ${JSON.stringify(found)} instead of ${JSON.stringify(was.get(kind))}`).join("; ");
}

function missing(one: ConformanceCase, harness: ConformanceHarness, report: ProbeReport): string | undefined {
  if (one.needs !== undefined && !report.facets.includes(one.needs)) return `the probe does not declare the facet ${one.needs}`;
  if (one.needsHostPaths === true && harness.driver.traits.hostPaths === "none") return "its traits say that host paths cannot be shown inside";
  if (one.needsKernel === true && harness.driver.traits.kernel === "none") return "its traits say that it has no kernel";
  if (one.needsTemplates === true && harness.driver.templates === undefined) return "the driver has no templates";
  return undefined;
}
