/** `compare --html`: one file that needs no network and no script. Every sample is to be seen, and the command that repeats it. */

import type { Series } from "../../series.ts";
import { comparisonNotes } from "../comparison-notes.ts";
import type { CompareDocument } from "../document.ts";
import { formatFigure } from "../figure.ts";
import { TITLES } from "../titles.ts";
import { claimRows, describeHost, emulationNote, metricsOf, SHORTENED } from "../words.ts";
import { drawDistribution } from "./distribution.ts";
import { drawScaling } from "./scaling.ts";
import { STYLE } from "./style.ts";
import { escape } from "./svg.ts";

/** What is plotted; facts and single figures stand in the table. */
const LEAST_SAMPLES = 3;

export function renderPage(document: CompareDocument): string {
  const { host, image, workload, measuredAt, command, subjects, series, complete } = document;
  const subject = `${image} ${workload.join(" ")}`.trim();
  const scaling = drawScaling(series, subjects, host.memoryBytes);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>bulkhead compare: ${escape(subject)}</title><style>${STYLE}</style></head><body><main>
<header><h1>${escape(subject)}</h1>
<p>${escape(`${describeHost(document)}, ${host.distribution}`)}. Measured ${escape(measuredAt)}.</p>
<p>Each dot is one sample; the long stroke the median, the box its 95 % interval, the short stroke the 95th percentile. Grey: the raw mechanism beneath. Where values span more than a decade the scale is logarithmic.</p>
${emulation(document)}${complete ? "" : `<p class=note>${SHORTENED}</p>`}</header>
${distributions(document)}
${scaling === "" ? "" : `<section><h2>memory of 1 to 1,000 idle instances</h2>${scaling}<p class=about>Computed: the measured memory of one, times their number; the band is its 95 % interval.</p></section>`}
<section><h2>Figures</h2>${figures(document)}${comparisonNotes(document)
    .map((note) => `<p class=about>${escape(note)}</p>`)
    .join("")}</section>
<section><h2>What the textbooks claim</h2>${claims(document)}</section>
<section><h2>Repeat</h2><pre>${escape(command)}</pre></section>
</main></body></html>
`;
}

function emulation(document: CompareDocument): string {
  const note = emulationNote(document);
  return note === "" ? "" : `<p class=note>${escape(note)}</p>`;
}

function distributions(document: CompareDocument): string {
  const { series, subjects } = document;
  return metricsOf(document)
    .flatMap((metric) => {
      const plotted = series.filter((one) => one.metric === metric && one.samples.length >= LEAST_SAMPLES && one.unit !== "text");
      const title = TITLES[metric] ?? metric;
      return plotted.length === 0 ? [] : [`<section><h2>${escape(title)}</h2>${drawDistribution(title, plotted, subjects)}</section>`];
    })
    .join("\n");
}

function figures({ series, gaps, subjects }: CompareDocument): string {
  const metrics = Object.keys(TITLES);
  const place = ({ metric, subject }: Series): number => metrics.indexOf(metric) * subjects.length + subjects.findIndex(({ id }) => id === subject);
  const rows = series
    .toSorted((one, other) => place(one) - place(other))
    .map(({ metric, subject, unit, summary, text, command }) => {
      const cells = text === undefined ? [summary.p50, summary.p95, summary.p99].map((value) => formatFigure(value, unit)) : [text, "", ""];
      return `<tr><td>${escape(TITLES[metric] ?? metric)}<td>${escape(subject)}${cells.map((one) => `<td class=number>${escape(one)}`).join("")}<td class=number>${summary.n}<td><code>${escape(command)}</code>`;
    });
  const missing = gaps.map(({ subject, metric, because }) => `<tr><td>${escape(metric)}<td>${escape(subject)}<td colspan=5>not measured: ${escape(because)}`);
  return `<div class=wide><table><thead><tr><th>figure<th>of<th>median<th>95th<th>99th<th>n<th>repeat<tbody>${[...rows, ...missing].join("\n")}</table></div>`;
}

function claims(document: CompareDocument): string {
  const rows = claimRows(document);
  const written = rows.map(
    ({ id, source, says, measured, kind, verdict }) =>
      `<tr class=${kind}><td>${escape(id)}<td>${escape(source)}<td>${escape(says)}<td class=number>${escape(measured)}<td>${escape(verdict)}`,
  );
  return `<div class=wide><table><thead><tr><th>claim<th>source<th>says<th>measured<th>verdict<tbody>${written.join("\n")}</table></div><p class=about>${document.claims.length - rows.length} further claims cannot be measured by this run.</p>`;
}
