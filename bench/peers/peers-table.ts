/** What `compare --peers` prints: a row for each thing that users do, a column for each tool, each beside how it stands to ours. */

import Table from "cli-table3";
import { formatFigure } from "../report/figure.ts";
import type { Series } from "../series.ts";
import type { PeersDocument } from "./compare-peers.ts";

const TITLES: Readonly<Record<string, string>> = {
  run_none: "run --rm --network none",
  run_bridge: "run --rm",
  run_published: "run --rm -p",
  exec: "exec",
  run_parallel: "100 runs by 10 clients",
  start_idle: "run -d, each",
  memory_per_idle: "memory per idle workload (host)",
  memory_resident: "resident, nothing running (PSS)",
};

export function renderPeers(document: PeersDocument): string {
  const table = new Table({
    head: ["", ...document.peers.map(({ id, version }) => `${id}\n${version}`)],
    style: { head: [], border: [], compact: true },
    colAligns: ["left", ...document.peers.map(() => "right" as const)],
  });
  const find = (metric: string, subject: string): Series | undefined => document.series.find((one) => one.metric === metric && one.subject === subject);
  const own = document.peers[0]?.id ?? "";
  for (const [metric, title] of Object.entries(TITLES)) {
    const ours = find(metric, own);
    table.push([title, ...document.peers.map(({ id }) => cell(find(metric, id), id === own ? undefined : ours))]);
  }
  const gaps = document.gaps.map((gap) => `${gap.subject}, ${gap.metric}: not measured, ${gap.because}`);
  return `${[
    "Each cell: median, its 95 % bootstrap interval, number of samples, times ours.",
    table.toString(),
    ...gaps,
    `Repeat: ${document.command}${document.complete ? "" : "\nEnded early (time was over, or it was interrupted): figures rest on fewer samples than planned."}`,
  ].join("\n")}\n`;
}

function cell(series: Series | undefined, ours: Series | undefined): string {
  if (series === undefined) return "";
  const { p50, interval, n } = series.summary;
  const ratio = ours === undefined || ours.summary.p50 === 0 ? "" : ` · × ${(p50 / ours.summary.p50).toFixed(1)}`;
  return `${formatFigure(p50, series.unit)}\n${formatFigure(interval[0], series.unit)} – ${formatFigure(interval[1], series.unit)} · n ${n}${ratio}`;
}
