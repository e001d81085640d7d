/**
 * What the textbooks claim, judged by what was measured. The rule stands in the claims' own `about`: confirmed where the interval
 * overlaps the claimed range, refuted-better or refuted-worse where it lies wholly outside, not-measurable with the reason.
 * An emulated machine refutes nothing about hardware virtualisation.
 */

import type { Series, SubjectDescription } from "./series.ts";

export interface Claim {
  readonly id: string;
  readonly boundary: string;
  readonly metric: string;
  readonly source: string;
  readonly low?: number;
  readonly high?: number;
  readonly unit?: string;
  readonly says?: string;
}

export interface Verdict {
  readonly claim: string;
  readonly verdict: "confirmed" | "refuted-better" | "refuted-worse" | "not-measurable";
  readonly because: string;
  readonly value?: number;
  readonly n?: number;
  readonly interval?: readonly [low: number, high: number];
}

/** Metrics of which more is better; of all others less is. */
const MORE_IS_BETTER = new Set([
  "density",
  "density_per_64_gib",
  "density_ratio_to_vm",
  "utilisation_ratio_to_vm",
  "host_cpu_utilisation",
  "network_throughput_ratio",
  "disk_throughput_ratio",
  "virtio_over_emulated_device",
]);

/** What varies from sample to sample, and has no interval to judge by below so many of them. */
const TIMED_UNITS = new Set(["s", "%"]);
const LEAST_SAMPLES = 3;

/** Claims that are sentences are compared with what was seen. */
const SENTENCES: Readonly<Record<string, (said: string, seen: string) => boolean>> = {
  kernel_identity: (said, seen) => said === seen,
};

export function judge(claim: Claim, series: readonly Series[], subjects: readonly SubjectDescription[]): Verdict {
  const refuse = (because: string): Verdict => ({ claim: claim.id, verdict: "not-measurable", because });
  const subject = subjects.find((one) => one.boundary === claim.boundary);
  if (subject === undefined) return refuse(`no ${claim.boundary} was measured on this host`);
  const found = series.find((one) => one.metric === claim.metric && one.subject === subject.id);
  if (found === undefined) return refuse(`${claim.metric} of ${claim.boundary} is not measured by this run`);
  if (found.text !== undefined) return judgeSentence(claim, found.text, subject);
  if (claim.low === undefined && claim.high === undefined) return refuse("the claim gives no range");
  if (claim.unit !== undefined && !sameUnit(claim.unit, found.unit)) return refuse(`the claim is in ${claim.unit}, the figure in ${found.unit}`);

  if (found.unit === "bytes" && !(found.summary.p50 > 0)) return refuse("the figure is below nothing, which is the host's noise: measure when it is quieter");

  if (TIMED_UNITS.has(found.unit) && found.summary.n < LEAST_SAMPLES) return refuse(`the figure rests on ${found.summary.n} samples: measure for longer`);

  const [low, high] = found.summary.interval;
  const measured = { value: found.summary.p50, n: found.summary.n, interval: found.summary.interval };
  const above = claim.high !== undefined && low > claim.high;
  const below = claim.low !== undefined && high < claim.low;
  if (!above && !below) return { claim: claim.id, verdict: "confirmed", because: "the interval overlaps the claimed range", ...measured };
  if (subject.emulated) return { ...refuse("the machine is emulated here, and the claim is about hardware virtualisation"), ...measured };
  const better = above === MORE_IS_BETTER.has(claim.metric);
  return {
    claim: claim.id,
    verdict: better ? "refuted-better" : "refuted-worse",
    because: above ? "wholly above the claimed range" : "wholly below the claimed range",
    ...measured,
  };
}

function judgeSentence(claim: Claim, seen: string, subject: SubjectDescription): Verdict {
  const compare = SENTENCES[claim.metric];
  if (compare === undefined || claim.says === undefined)
    return { claim: claim.id, verdict: "not-measurable", because: "the claim is a sentence that no figure answers" };
  const holds = compare(claim.says, seen);
  if (!holds && subject.emulated) return { claim: claim.id, verdict: "not-measurable", because: "the machine is emulated here" };
  return { claim: claim.id, verdict: holds ? "confirmed" : "refuted-worse", because: `seen: ${seen}` };
}

function sameUnit(claimed: string, measured: string): boolean {
  return (
    claimed === measured ||
    claimed.startsWith(`${measured} `) ||
    (claimed.startsWith("instances") && measured === "instances") ||
    (claimed === "of a volume's" && measured === "ratio")
  );
}
