/** The page that `compare` prints for people: a row for each measure, a column for each subject, claims beneath. */

import Table from "cli-table3";
import type { CompareDocument } from "./document.ts";
import { formatFigure } from "./figure.ts";
import { TITLES } from "./titles.ts";

export function renderTable(document: CompareDocument, colours: boolean): string {
  const bold = (text: string): string => (colours ? `\u001b[1m${text}\u001b[22m` : text);
  const head = document.subjects.map((subject) => `${subject.id}${subject.emulated ? " (emulated)" : ""}\n${subject.engine} ${subject.version}`);
  const table = new Table({
    head: ["", ...head],
    style: { head: [], border: [], compact: true },
    colAligns: ["left", ...document.subjects.map(() => "right" as const)],
  });
  const metrics = [...new Set([...Object.keys(TITLES), ...document.series.map((series) => series.metric)])];
  for (const metric of metrics) {
    const cells = document.subjects.map((subject) => cell(document, metric, subject.id));
    if (cells.every((text) => text === "")) continue;
    table.push([TITLES[metric] ?? metric, ...cells]);
  }
  const lines = [
    bold(`${document.image} ${document.workload.join(" ")}`),
    `${document.host.processors} × ${document.host.processor}, ${formatFigure(document.host.memoryBytes, "bytes")}, Linux ${document.host.kernel}${document.host.guestOf === "none" ? "" : `, itself a guest of ${document.host.guestOf}`}`,
    "Each cell: median, 95th and 99th percentile, number of samples.",
    table.toString(),
    ...emulationNote(document),
    ...gapLines(document),
    "",
    bold("What the textbooks claim, beside what was measured here"),
    renderClaims(document),
    `Repeat: ${document.command}${document.complete ? "" : "\nInterrupted or out of time: figures rest on fewer samples than planned."}`,
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

function emulationNote(document: CompareDocument): string[] {
  const emulated = document.subjects.filter((subject) => subject.emulated);
  if (emulated.length === 0) return [];
  return [
    `${emulated.map((subject) => subject.id).join(" and ")}: emulated, because this host has no usable hardware virtualisation. Such a machine is no security boundary, and its figures say nothing about hardware.`,
  ];
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
  for (const claim of document.claims) {
    const { judged } = claim;
    if (judged.value === undefined && judged.verdict === "not-measurable") continue;
    const unit = claim.unit?.startsWith("instances") === true ? "instances" : (claim.unit ?? "");
    const range = [claim.low, claim.high].map((bound) => (bound === undefined ? "…" : formatFigure(bound, unit))).join(" to ");
    const says = claim.low === undefined && claim.high === undefined ? (claim.says ?? "") : range;
    const measured = judged.value === undefined ? judged.because : `${formatFigure(judged.value, unit)} (n ${judged.n})`;
    table.push([claim.id, says, measured, judged.verdict === "not-measurable" ? `not measurable: ${judged.because}` : judged.verdict]);
  }
  const silent = document.claims.filter((claim) => claim.judged.verdict === "not-measurable" && claim.judged.value === undefined).length;
  return `${table.toString()}\n${silent} further claims cannot be measured by this run; --json says why for each.`;
}
