/** `compare`, in order: find the subjects, list the measures, run them interleaved, derive, judge, describe. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "@bulkhead/sdk";
import claimsDocument from "./data/claims.json" with { type: "json" };
import { type Claim, judge } from "./claims.ts";
import { compareSubjects } from "./comparisons.ts";
import { deriveDiskRatio, deriveOverheads, deriveStartOverContainer } from "./derived.ts";
import { GAUGE_IMAGE, loadGaugeImage } from "./gauge-image.ts";
import { describeHost } from "./host.ts";
import { measureDisk, measureNetwork } from "./io-measures.ts";
import { measureExec, measureGauges, measureMemory, measureStart, type MeasureOptions } from "./measures.ts";
import { type CompareOptions, repeatCommand } from "./options.ts";
import type { Progress } from "./progress.ts";
import type { CompareDocument } from "./report/document.ts";
import { formatFigure } from "./report/figure.ts";
import { type UnpackedImage, unpackImage } from "./rootfs.ts";
import { type Measure, runMeasures, type RunOptions } from "./runner.ts";
import type { Gap, Series, SubjectDescription } from "./series.ts";
import { summarize } from "./statistics.ts";
import type { ExecTarget, Subject } from "./subject.ts";
import { BulkheadSubject } from "./subjects/bulkhead.ts";
import { openTemplateSubject } from "./subjects/template.ts";
import { PlainHost } from "./subjects/plain-host.ts";
import { RawCrun } from "./subjects/raw-crun.ts";
import { RawQemu } from "./subjects/raw-qemu.ts";
import { platformOf, RawRunsc } from "./subjects/raw-runsc.ts";
import { reasonOf } from "./reason.ts";
import { shellWords } from "./shell-words.ts";

/** What `--quick` may take, preparing included; what is left for measuring however long that took; and what the others may take. */
const QUICK_MS = 60_000;
const LEAST_MS = 20_000;
const BRIEF_MS = 12_000;
const FULL_MS = 20 * 60_000;

export interface CompareContext {
  readonly client: Client;
  readonly options: CompareOptions;
  readonly gaugePath: string;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

export async function compare(context: CompareContext): Promise<CompareDocument> {
  const { client, options } = context;
  const began = performance.now();
  const version = await client.system.version();
  const info = (await client.system.info()) as { DockerRootDir?: string };
  await client.images.inspect(options.image);
  if (!existsSync(context.gaugePath)) throw new Error(`the gauge is not built (${context.gaugePath}); run: npm run build`);
  if (!options.brief) await loadGaugeImage(client, context.gaugePath, process.arch === "x64" ? "amd64" : process.arch);

  const gaps: Gap[] = [];
  const closing: (() => Promise<void> | void)[] = [];
  try {
    const root = info.DockerRootDir ?? "/var/lib/bulkhead";
    const subjects = await findSubjects(context, root, gaps, closing);
    const measures = await listMeasures(subjects, context, { gaps, closing });
    const preparedMs = performance.now() - began;
    const budgetMs = options.brief ? BRIEF_MS : options.quick ? Math.max(LEAST_MS, QUICK_MS - preparedMs) : FULL_MS;
    const run = await runMeasures(measures, {
      seed: options.seed,
      pauseMs: 75,
      signal: context.signal,
      budgetMs,
      warmUp: !options.brief,
      onProgress: (done, all, name) => context.progress.show(done, all, name),
      ...tellEarly(context, budgetMs),
    });
    context.progress.clear();
    const facts = context.signal.aborted ? [] : await readFacts(client, options.image, subjects);
    const descriptions = subjects.map((subject) => subject.description);
    const container = descriptions.find((one) => one.boundary !== undefined)?.id ?? "";
    const series = [
      ...run.series,
      ...facts,
      ...deriveOverheads(run.series),
      ...deriveDiskRatio(run.series),
      ...deriveStartOverContainer(run.series, container),
    ];
    return {
      schemaVersion: 1,
      measuredAt: new Date().toISOString(),
      bulkhead: version.Version,
      command: repeatCommand(options),
      image: options.image,
      workload: options.command,
      seed: options.seed,
      complete: run.complete,
      host: describeHost(),
      subjects: descriptions,
      series,
      gaps: [...gaps, ...run.gaps],
      comparisons: compareSubjects(series, descriptions),
      claims: (claimsDocument.claims as readonly Claim[]).map((claim) => ({ ...claim, judged: judge(claim, series, descriptions) })),
    };
  } finally {
    for (const close of closing.toReversed()) await close();
  }
}

/** The first figures at once, and what a slow host has to go without. */
function tellEarly({ progress, options }: CompareContext, budgetMs: number): Pick<RunOptions, "onFirst" | "onWarm"> {
  return {
    onFirst(subject, samples) {
      const start = samples.find(({ metric }) => metric === "startup_to_ready");
      if (start !== undefined) progress.say(`${subject}: first byte after ${formatFigure(start.value, start.unit)} (its first start; the figures follow)`);
    },
    onWarm(roundMs, rounds) {
      const fitting = Math.max(1, Math.ceil(budgetMs / roundMs) - 1);
      if (fitting >= rounds) return;
      const longer = options.quick ? "; without --quick there is more time" : "";
      progress.say(
        `this host needs ${Math.round(roundMs / 1000)} s for a round: about ${fitting} of ${rounds} rounds in ${Math.round(budgetMs / 1000)} s${longer}`,
      );
    },
  };
}

async function findSubjects(context: CompareContext, root: string, gaps: Gap[], closing: (() => Promise<void> | void)[]): Promise<Subject[]> {
  const { client, options } = context;
  const subjects: Subject[] = [];
  const probes = await client.system.probes();
  for (const probe of probes) {
    if (!probe.usable || probe.identity === undefined) {
      const why = probe.findings.find((finding) => finding.level === "missing")?.what ?? "the probe says that it is not usable";
      gaps.push({ subject: probe.kind, metric: "all", because: why });
      continue;
    }
    if (probe.identity.traits.includes("no-kernel")) {
      gaps.push({ subject: probe.kind, metric: "all", because: "it runs no Linux image; its own goals are measured by --check" });
      continue;
    }
    if (!probe.facets.includes("exec")) {
      gaps.push({ subject: probe.kind, metric: "all", because: "it boots a disk and runs no program of an image; its own goal is measured by --check" });
      continue;
    }
    const { engine, version, emulated } = probe.identity;
    const described = { id: probe.kind, boundary: probe.kind, engine, version, emulated };
    const shared = { client, isolation: probe.kind, image: options.image, gaugeImage: GAUGE_IMAGE, root, description: described };
    subjects.push(new BulkheadSubject(shared));
    try {
      const template = await openTemplateSubject(shared);
      if (template !== undefined) subjects.push(template);
    } catch (thrown) {
      gaps.push({ subject: `${probe.kind}-template`, metric: "all", because: reasonOf(thrown) });
    }
  }
  if (options.boundariesOnly) return subjects;
  subjects.push(new PlainHost(context.gaugePath));
  let unpacked: UnpackedImage | undefined;
  try {
    unpacked = await unpackImage(client, options.image);
    closing.push(() => unpacked?.remove());
    const crun = await RawCrun.open(unpacked.directory);
    closing.push(() => crun.close());
    subjects.push(crun);
  } catch (thrown) {
    gaps.push({ subject: "raw-crun", metric: "all", because: reasonOf(thrown) });
  }
  const gvisor = probes.find((probe) => probe.usable && probe.identity?.engine === "runsc")?.identity;
  if (gvisor !== undefined && unpacked !== undefined) {
    try {
      const runsc = await RawRunsc.open({ rootfs: unpacked.directory, version: gvisor.version, platform: platformOf(gvisor.traits) });
      closing.push(() => runsc.close());
      subjects.push(runsc);
    } catch (thrown) {
      gaps.push({ subject: "raw-runsc", metric: "all", because: reasonOf(thrown) });
    }
  }
  for (const { description } of subjects.filter(({ description: { boundary, engine } }) => boundary !== undefined && engine === "qemu")) {
    try {
      const qemu = await openRawQemu(client, description, options.image);
      closing.push(() => qemu.close());
      subjects.push(qemu);
    } catch (thrown) {
      gaps.push({ subject: "raw-qemu", metric: "all", because: reasonOf(thrown) });
    }
  }
  return subjects;
}

/** Raises a machine only to read how its monitor was started. */
export async function openRawQemu(client: Client, machine: SubjectDescription, image: string): Promise<RawQemu> {
  const { Id } = await client.workloads.create({
    Image: image,
    Cmd: ["sleep", "100000"],
    HostConfig: { Isolation: machine.id, NetworkMode: "none", Cold: true },
  });
  try {
    await client.workloads.start(Id);
    const { State } = await client.workloads.inspect(Id);
    return RawQemu.open(State.Pid, machine);
  } finally {
    await client.workloads.remove(Id, { force: true });
  }
}

async function listMeasures(
  subjects: readonly Subject[],
  { options, signal, gaugePath }: CompareContext,
  { gaps, closing }: { readonly gaps: Gap[]; readonly closing: (() => Promise<void> | void)[] },
): Promise<Measure[]> {
  const size: MeasureOptions = options.brief
    ? { command: options.command, starts: 3, execs: 3, gauges: 0, furtherGauges: 0, memories: 1, tenths: 0, instances: 1 }
    : options.quick
      ? { command: options.command, starts: 6, execs: 6, gauges: 3, furtherGauges: 0, memories: 3, tenths: 0, instances: 2 }
      : { command: options.command, starts: 30, execs: 30, gauges: 10, furtherGauges: 5, memories: 5, tenths: 3, instances: 4 };
  const measures: Measure[] = [];
  for (const subject of subjects) {
    measures.push(
      ...measureGauges(subject, size),
      ...measureDisk(subject, size.furtherGauges),
      ...measureNetwork(subject, { rounds: size.furtherGauges, gaugePath }),
    );
    if (subject.description.id === "raw-host") continue;
    // A quick run has time to see what the raw mechanisms take once, and for no more.
    const once = options.quick && subject.description.boundary === undefined;
    measures.push(measureStart(subject, size), ...measureMemory(subject, once ? { ...size, memories: 1 } : size));
    if (subject.openExec === undefined || signal.aborted) continue;
    try {
      const target: ExecTarget = await subject.openExec();
      closing.push(() => target.close());
      measures.push(measureExec(subject, target, size));
    } catch (thrown) {
      gaps.push({ subject: subject.description.id, metric: "exec", because: reasonOf(thrown) });
    }
  }
  return measures;
}

/** What is a fact and not a sample: whose kernel answers, how large the image is. */
async function readFacts(client: Client, image: string, subjects: readonly Subject[]): Promise<Series[]> {
  const facts: Series[] = [];
  const { Size } = (await client.images.inspect(image)) as { Size?: number };
  const host = await subjects.find((subject) => subject.description.id === "raw-host")?.gauge?.("kernel");
  for (const subject of subjects.filter((one) => one.description.boundary !== undefined)) {
    const base = { subject: subject.description.id, command: subject.command("kernel_identity", ["/gauge", "kernel"]) };
    if (Size !== undefined)
      facts.push({
        ...base,
        metric: "image_size",
        unit: "bytes",
        samples: [Size],
        summary: summarize([Size]),
        command: shellWords(["bulkhead", "images", image]),
      });
    const seen = host === undefined ? undefined : await subject.gauge?.("kernel");
    if (host === undefined || seen === undefined) continue;
    facts.push({
      ...base,
      metric: "kernel_identity",
      unit: "text",
      samples: [],
      summary: summarize([]),
      text: seen.release === host.release ? "the host's" : "its own",
    });
  }
  return facts;
}

export function defaultGaugePath(programDirectory: string): string {
  return (
    [join(programDirectory, "native", "bulkhead-gauge"), join(programDirectory, "..", "dist", "native", "bulkhead-gauge")].find((path) => existsSync(path)) ??
    join(programDirectory, "native", "bulkhead-gauge")
  );
}
