/** The measures of `compare`, for whatever a subject can do. Metrics carry the names of claims.json where a claim asks for them. */

import { addedPss, readMemAvailable } from "./memory.ts";
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
  /** Rounds of ten instances. */
  readonly tenths: number;
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

/** What idle instances add to the memory and the disk of the host: before and after, over their number. */
export function measureMemory(subject: Subject, options: MeasureOptions): Measure[] {
  if (subject.idle === undefined) return [];
  const raise = subject.idle.bind(subject);
  const command = subject.command("memory_overhead", options.command);
  const bytes = (metric: string, value: number): Sample => ({ metric, value: value / options.instances, unit: "bytes", command });
  return [
    {
      subject: subject.description.id,
      name: "memory and disk",
      rounds: options.memories,
      sample: async () => {
        const pss = subject.pss?.();
        const disk = subject.diskBytes?.();
        const available = readMemAvailable();
        const instances = await raise(options.instances);
        try {
          return [
            ...(pss === undefined ? [] : [bytes("memory_overhead", addedPss(pss, subject.pss?.() ?? pss))]),
            bytes("memory_available_lost", available - readMemAvailable()),
            ...(disk === undefined ? [] : [bytes("disk_per_instance", (subject.diskBytes?.() ?? disk) - disk)]),
          ];
        } finally {
          await instances.stop();
        }
      },
    },
    ...measureTenth(subject, options),
  ];
}

const BEFORE_TENTH = 9;

/** What the tenth instance on one base adds to the disk. Blocks need no warming up, and ten machines take their time. */
function measureTenth(subject: Subject, options: MeasureOptions): Measure[] {
  if (subject.idle === undefined || subject.diskBytes === undefined || options.tenths === 0) return [];
  const raise = subject.idle.bind(subject);
  const count = subject.diskBytes.bind(subject);
  return [
    {
      subject: subject.description.id,
      name: "disk of the tenth",
      rounds: options.tenths,
      needsWarmUp: false,
      sample: async () => {
        const raised = [await raise(BEFORE_TENTH)];
        try {
          const before = count();
          raised.push(await raise(1));
          return [{ metric: "disk_tenth_instance", value: count() - before, unit: "bytes", command: subject.command("disk_tenth_instance", options.command) }];
        } finally {
          for (const instances of raised.toReversed()) await instances.stop();
        }
      },
    },
  ];
}
