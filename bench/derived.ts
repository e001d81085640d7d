/** Figures that follow from others: costs over the plain host, over a volume, and over the container. Ratios of the same run only. */

import type { Series } from "./series.ts";
import { summarize } from "./statistics.ts";

const OVER_HOST = [
  { from: "cpu_integer", metric: "cpu_overhead" },
  { from: "syscall", metric: "syscall_overhead" },
] as const;

/** Percent more than on the plain host, sample by sample in the order taken. */
export function deriveOverheads(series: readonly Series[]): Series[] {
  const derived: Series[] = [];
  for (const { from, metric } of OVER_HOST) {
    const host = series.find((one) => one.metric === from && one.subject === "raw-host");
    if (host === undefined) continue;
    for (const one of series.filter((candidate) => candidate.metric === from && candidate.subject !== "raw-host")) {
      const count = Math.min(one.samples.length, host.samples.length);
      const samples = one.samples.slice(0, count).map((value, index) => (value / (host.samples[index] as number) - 1) * 100);
      derived.push({ metric, subject: one.subject, unit: "%", samples, summary: summarize(samples), command: one.command });
    }
  }
  return derived;
}

/** What its own root writes in the time in which a volume writes one, sample by sample in the order taken. */
export function deriveDiskRatio(series: readonly Series[]): Series[] {
  return series
    .filter(({ metric }) => metric === "disk_sequential_rootfs")
    .flatMap((root) => {
      const volume = series.find((one) => one.metric === "disk_sequential_volume" && one.subject === root.subject);
      if (volume === undefined || root.subject.startsWith("raw-")) return [];
      const count = Math.min(root.samples.length, volume.samples.length);
      const samples = volume.samples.slice(0, count).map((value, index) => value / (root.samples[index] as number));
      return [{ metric: "disk_throughput_ratio", subject: root.subject, unit: "ratio" as const, samples, summary: summarize(samples), command: root.command }];
    });
}

/** Seconds that a boundary's start takes beyond the container's. */
export function deriveStartOverContainer(series: readonly Series[], container: string): Series[] {
  const base = series.find((one) => one.metric === "startup_to_ready" && one.subject === container);
  if (base === undefined) return [];
  return series
    .filter((one) => one.metric === "startup_to_ready" && one.subject !== container && !one.subject.startsWith("raw-"))
    .map((one) => {
      const samples = one.samples.map((value) => value - base.summary.p50);
      return { metric: "startup_over_container", subject: one.subject, unit: "s" as const, samples, summary: summarize(samples), command: one.command };
    });
}
