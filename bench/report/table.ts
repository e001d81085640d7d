/** The page that `compare` prints for people: a row for each measure, a column for each subject, claims beneath. */

import Table from "cli-table3";
import { comparisonNotes } from "./comparison-notes.ts";
import type { CompareDocument } from "./document.ts";
import { formatFigure } from "./figure.ts";
import { TITLES } from "./titles.ts";
import { claimRows, describeHost, emulationNote, metricsOf, SHORTENED } from "./words.ts";

export function renderTable(document: CompareDocument, colours: boolean): string {
  const bold = (text: string): string => (colours ? `\u001b[1m${text}\u001b[22m` : text);
  const head = document.subjects.map((subject) => `${subject.id}${subject.emulated ? " (emulated)" : ""}\n${subject.engine} ${subject.version}`);
  const table = new Table({
    head: ["", ...head],
    style: { head: [], border: [], compact: true },
    colAligns: ["left", ...document.subjects.map(() => "right" as const)],
  });
  for (const metric of metricsOf(document)) {
    const cells = document.subjects.map((subject) => cell(document, metric, subject.id));
    if (cells.every((text) => text === "")) continue;
    table.push([TITLES[metric] ?? metric, ...cells]);
  }
  const lines = [
    bold(`${document.image} ${document.workload.join(" ")}`),
    describeHost(document),
    "Each cell: median, 95th and 99th percentile, number of samples.",
    table.toString(),
    ...[emulationNote(document)].filter((note) => note !== ""),
    ...gapLines(document),
    ...comparisonNotes(document),
    "",
    bold("What the textbooks claim, beside what was measured here"),
    renderClaims(document),
    `Repeat: ${document.command}${document.complete ? "" : `\n${SHORTENED}`}`,
  ];
  return `${lines.join("\n")}\n`;
}

function cell(document: CompareDocument, metric: string, subject: string): string {
  const series = document.series.find((one) => one.metric === metric && one.subject === subject);
  if (series === undefined) return "";
  if (series.text !== undefined) return series.text;
  const { p50, p95, p99, n } = series.summary;
  const middle = formatFigure(p50, series.unit);
  if (n === 1) return `${middle}\nn 1`;
  return `${middle}\n${formatFigure(p95, series.unit)} · ${formatFigure(p99, series.unit)} · n ${n}`;
}

function gapLines(document: CompareDocument): string[] {
  return document.gaps.map((gap) => `${gap.subject}, ${gap.metric}: not measured, ${gap.because}`);
}

function renderClaims(document: CompareDocument): string {
  const table = new Table({
    head: ["claim", "says", "measured", "verdict"],
    style: { head: [], border: [], compact: true },
    colWidths: [30, 34, 26, 48],
    wordWrap: true,
  });
  const rows = claimRows(document);
  for (const { id, says, measured, verdict } of rows) table.push([id, says, measured, verdict]);
  return `${table.toString()}\n${document.claims.length - rows.length} further claims cannot be measured by this run; --json says why for each.`;
}
