/** Takes in a document of `bulkhead compare --json`: only what the advisor reads is looked at and kept. */

import { Failure } from "../contract/failure.ts";
import type { MeasuredSeries, Measurements } from "./figures.ts";

const MOST_SERIES = 2000;

/** Rejects INVALID_SPEC with the place that is wrong. */
export function parseMeasurements(document: unknown): Measurements {
  const { schemaVersion, measuredAt, subjects, series } = record(document, "the document");
  if (schemaVersion !== 1) throw wrong("schemaVersion must be 1");
  if (typeof measuredAt !== "string" || Number.isNaN(Date.parse(measuredAt))) throw wrong("measuredAt must be an instant");
  if (!Array.isArray(subjects) || !Array.isArray(series) || series.length > MOST_SERIES || subjects.length > MOST_SERIES)
    throw wrong(`subjects and series must be lists of at most ${MOST_SERIES}`);
  return {
    measuredAt,
    subjects: subjects.map((item, index) => {
      const { id, boundary, emulated } = record(item, `subjects[${index}]`);
      if (typeof id !== "string" || (boundary !== undefined && typeof boundary !== "string") || typeof emulated !== "boolean")
        throw wrong(`subjects[${index}] must have an id and say whether it is emulated`);
      return { id, emulated, ...(boundary === undefined ? {} : { boundary }) };
    }),
    series: series.map(readSeries),
  };
}

function readSeries(item: unknown, index: number): MeasuredSeries {
  const { metric, subject, unit, summary, command } = record(item, `series[${index}]`);
  const { n, p50 } = record(summary, `series[${index}].summary`);
  const texts = [metric, subject, unit, command];
  if (texts.some((text) => typeof text !== "string") || typeof n !== "number" || (p50 !== null && typeof p50 !== "number"))
    throw wrong(`series[${index}] must have metric, subject, unit, command and a summary with n and p50`);
  return { metric: metric as string, subject: subject as string, unit: unit as string, command: command as string, summary: { n, p50: p50 as number | null } };
}

function record(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
  throw wrong(`${at} must be an object`);
}

function wrong(what: string): Failure {
  return new Failure("INVALID_SPEC", `these are no measurements of bulkhead compare: ${what}`, { remedy: "make them with `bulkhead compare --json=FILE`" });
}
