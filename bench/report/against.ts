/** What changed since an earlier run: medians whose 95 % intervals do not touch; everything else is noise. Only what both measured is compared. */

import Table from "cli-table3";
import type { Series } from "../series.ts";
import type { CompareDocument } from "./document.ts";
import { formatFigure } from "./figure.ts";

export interface Change {
  readonly metric: string;
  readonly subject: string;
  readonly unit: Series["unit"];
  readonly before: number;
  readonly after: number;
  /** After over before. */
  readonly ratio: number;
  /** False: the two cannot be told apart. */
  readonly isBeyondNoise: boolean;
}

/** Fewer samples have no interval worth the name. */
const LEAST_SAMPLES = 3;

/** Rejects with a sentence where the text is no document of `compare --json`. */
export function readEarlier(text: string, name: string): CompareDocument {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new Error(`${name} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const { schemaVersion, series, subjects } = (document ?? {}) as Partial<CompareDocument>;
  if (schemaVersion !== 1 || !Array.isArray(series) || !Array.isArray(subjects)) throw new Error(`${name} was not written by \`bulkhead compare --json=FILE\``);
  return document as CompareDocument;
}

export function findChanges(before: CompareDocument, after: CompareDocument): readonly Change[] {
  return after.series.flatMap((now) => {
    const then = before.series.find((one) => one.metric === now.metric && one.subject === now.subject && one.unit === now.unit);
    if (then === undefined || then.summary.n < LEAST_SAMPLES || now.summary.n < LEAST_SAMPLES || then.summary.p50 === 0) return [];
    const [low, high] = now.summary.interval;
    const [lowThen, highThen] = then.summary.interval;
    const { metric, subject, unit } = now;
    return [
      {
        metric,
        subject,
        unit,
        before: then.summary.p50,
        after: now.summary.p50,
        ratio: now.summary.p50 / then.summary.p50,
        isBeyondNoise: low > highThen || high < lowThen,
      },
    ];
  });
}

export function renderChanges(before: CompareDocument, after: CompareDocument): string {
  const changes = findChanges(before, after);
  const real = changes.filter(({ isBeyondNoise }) => isBeyondNoise).toSorted((left, right) => Math.abs(Math.log(right.ratio)) - Math.abs(Math.log(left.ratio)));
  const table = new Table({
    head: ["changed", "of", "before", "now", ""],
    style: { head: [], border: [], compact: true },
    colAligns: ["left", "left", "right", "right", "right"],
  });
  for (const { metric, subject, unit, before: old, after: now, ratio } of real)
    table.push([metric, subject, formatFigure(old, unit), formatFigure(now, unit), `× ${ratio.toFixed(2)}`]);
  const lines = [
    `Since ${before.measuredAt}: ${real.length} of ${changes.length} figures changed beyond noise (medians whose 95 % intervals do not touch).`,
    ...(real.length > 0 ? [table.toString()] : []),
    ...differences(before, after),
  ];
  return `\n${lines.join("\n")}\n`;
}

/** What makes the two runs hard to compare. */
function differences(before: CompareDocument, after: CompareDocument): string[] {
  const found: string[] = [];
  if (before.host.kernel !== after.host.kernel || before.host.processor !== after.host.processor || before.host.processors !== after.host.processors)
    found.push(`Another host or kernel: ${before.host.processors} × ${before.host.processor}, Linux ${before.host.kernel}.`);
  if (before.image !== after.image || before.workload.join("\0") !== after.workload.join("\0"))
    found.push(`Another workload: ${before.image} ${before.workload.join(" ")}.`);
  for (const { id, version } of after.subjects) {
    const old = before.subjects.find((one) => one.id === id)?.version;
    if (old !== undefined && old !== version) found.push(`${id} was ${old} and is ${version}.`);
  }
  return found;
}
