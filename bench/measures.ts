/** The measures of `compare`, for whatever a subject can do. Metrics carry the names of claims.json where a claim asks for them. */

import { addedPss, readOwnPss, readMemAvailable } from "./memory.ts";
import type { Measure, Sample } from "./runner.ts";
import { type ExecTarget, nanosecondsPerOperation, type Subject } from "./subject.ts";

export interface MeasureOptions {
  readonly command: readonly string[];
  readonly starts: number;
  readonly execs: number;
  readonly gauges: number;
  /** Rounds of those that a quick run leaves out. */
  readonly furtherGauges: number;
  readonly memories: number;
  /** The daemon's root directory. */
  readonly root: string;
  /** Idle instances raised for each memory sample. */
  readonly instances: number;
}

const GAUGES = [
  { gauge: "cpu-integer", metric: "cpu_integer" },
  { gauge: "cpu-float", metric: "cpu_float" },
  { gauge: "syscall", metric: "syscall" },
  { gauge: "fork", metric: "fork" },
] as const;
/** What a quick run has no time for. */
const FURTHER_GAUGES = [
  { gauge: "spawn", metric: "spawn" },
  { gauge: "context-switch", metric: "context_switch" },
  { gauge: "page-fault", metric: "page_fault" },
  { gauge: "memory", metric: "memory_copy" },
] as const;

export function measureStart(subject: Subject, options: MeasureOptions): Measure {
  const command = subject.command("startup_to_ready", options.command);
  return {
    subject: subject.description.id,
    name: "start",
    rounds: options.starts,
    sample: async () => {
      const moments = await subject.start(options.command);
      const samples: Sample[] = [{ metric: "run_time", value: moments.exit, unit: "s", command }];
      if (moments.firstByte !== undefined) samples.unshift({ metric: "startup_to_ready", value: moments.firstByte, unit: "s", command });
      return samples;
    },
  };
}

export function measureExec(subject: Subject, target: ExecTarget, options: MeasureOptions): Measure {
  const command = subject.command("exec", options.command);
  return {
    subject: subject.description.id,
    name: "exec",
    rounds: options.execs,
    sample: async () => [{ metric: "exec", value: await target.run(), unit: "s", command }],
  };
}

export function measureGauges(subject: Subject, options: MeasureOptions): Measure[] {
  if (subject.gauge === undefined || options.gauges === 0) return [];
  const read = subject.gauge.bind(subject);
  const due = [...GAUGES.map((one) => ({ ...one, rounds: options.gauges })), ...FURTHER_GAUGES.map((one) => ({ ...one, rounds: options.furtherGauges }))];
  return due.map(({ gauge: name, metric, rounds }) => ({
    subject: subject.description.id,
    name: metric,
    rounds,
    sample: async () => [{ metric, value: nanosecondsPerOperation(await read(name)), unit: "ns" as const, command: subject.command(metric, ["/gauge", name]) }],
  }));
}

export function measureMemory(subject: Subject, options: MeasureOptions): Measure[] {
  if (subject.idle === undefined) return [];
  const raise = subject.idle.bind(subject);
  const command = subject.command("memory_overhead", options.command);
  return [
    {
      subject: subject.description.id,
      name: "memory and disk",
      rounds: options.memories,
      sample: async () => {
        const before = readOwnPss(options.root);
        const availableBefore = readMemAvailable();
        const instances = await raise(options.instances);
        try {
          const perInstance = (bytes: number): number => bytes / options.instances;
          const samples: Sample[] = [
            { metric: "memory_overhead", value: perInstance(addedPss(before, readOwnPss(options.root))), unit: "bytes", command },
            { metric: "memory_available_lost", value: perInstance(availableBefore - readMemAvailable()), unit: "bytes", command },
          ];
          const first = instances.ids[0];
          const disk = first === undefined ? undefined : await subject.diskBytes?.(first);
          if (disk !== undefined) samples.push({ metric: "disk_per_instance", value: disk, unit: "bytes", command });
          return samples;
        } finally {
          await instances.stop();
        }
      },
    },
  ];
}
