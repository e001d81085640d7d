/** A thing that can be measured. What it cannot do is absent, and becomes a gap in the report. */

import type { SubjectDescription } from "./series.ts";

/** Moments of one start, in seconds since it was asked for. `firstByte` is absent where the command printed nothing. */
export interface StartMoments {
  readonly firstByte?: number;
  readonly exit: number;
}

/** Instances that stand idle. */
export interface IdleInstances {
  readonly ids: readonly string[];
  readonly stop: () => Promise<void>;
}

export interface Subject {
  readonly description: SubjectDescription;
  /** Starts the command afresh, waits for its end, leaves nothing. Rejects where it failed. */
  start(command: readonly string[]): Promise<StartMoments>;
  /** Runs the gauge behind this boundary and gives what it printed. */
  gauge?(measure: string): Promise<GaugeReading>;
  /** Runs a measure of the gauge that writes: on the workload's own file system, or on a volume. */
  write?(measure: string, place: DiskPlace): Promise<GaugeReading>;
  /** Raises the gauge's server where this host can reach it; it may answer a moment later. */
  serve?(): Promise<GaugeServer>;
  /** Raises something to exec in. */
  openExec?(): Promise<ExecTarget>;
  /** Raises `count` instances that do nothing. */
  idle?(count: number): Promise<IdleInstances>;
  /** PSS in bytes of every process that belongs to this subject now, by pid. */
  pss?(): ReadonlyMap<number, number>;
  /** Bytes that everything of this subject takes on disk now. */
  diskBytes?(): number;
  /** How a reader repeats a figure of this subject. */
  command(metric: string, command: readonly string[]): string;
  close(): Promise<void>;
}

export type DiskPlace = "rootfs" | "volume";

export interface GaugeServer {
  /** `10.0.0.2:9137`. */
  readonly address: string;
  readonly stop: () => Promise<void>;
}

export interface ExecTarget {
  /** Seconds from asking to knowing the exit of `true`. */
  run(): Promise<number>;
  close(): Promise<void>;
}

export interface GaugeReading {
  readonly measure: string;
  readonly operations?: number;
  readonly nanoseconds?: number;
  readonly release?: string;
}

export function nanosecondsPerOperation(reading: GaugeReading): number {
  if (reading.operations === undefined || reading.nanoseconds === undefined || reading.operations === 0)
    throw new Error(`the gauge printed no figures for ${reading.measure}`);
  return reading.nanoseconds / reading.operations;
}

/** Seconds on the monotonic clock. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}
