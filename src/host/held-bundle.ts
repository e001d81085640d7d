/** What the driver's part of every bundle holds, and what each driver makes of it alike: a launch plan's frame, the supervised sandbox's, refusals. */

import type { BoundaryIdentity } from "../contract/boundary.ts";
import type { Log } from "../contract/call.ts";
import type { Bundle, BundlePlace, ProbeReport } from "../contract/driver.ts";
import { Failure } from "../contract/failure.ts";
import type { LaunchPlan } from "../contract/launch-plan.ts";
import type { ProcessSpec } from "../contract/process.ts";
import type { SandboxSpec } from "../contract/spec.ts";
import type { Launcher } from "./launcher-client.ts";
import type { SupervisedOptions } from "./supervised-sandbox.ts";
import { placeMark } from "./workload-files.ts";

/** Written by this version, read by every later one. */
export interface HeldBundle {
  readonly version: 1;
  readonly spec: SandboxSpec;
  readonly identity: BoundaryIdentity;
  /** The supervisor's. */
  readonly socket: string;
}

/** The driver's part of a bundle. Rejects UNSUPPORTED for one that this program cannot read. */
export function readHeld<T extends HeldBundle>(bundle: Bundle): T {
  const held = bundle.driver as T | undefined;
  if (bundle.version !== 1 || held?.version !== 1) {
    throw new Failure("UNSUPPORTED", `The bundle of ${bundle.workload} was written by a newer Bulkhead`, { workload: bundle.workload, boundary: bundle.kind });
  }
  return held;
}

/** A launch plan without its engine: the spec's limits and network, and no device of the host's. */
export function composePlanFrame(bundle: Bundle, { spec, socket }: HeldBundle, exitRecord: string, main: ProcessSpec): Omit<LaunchPlan, "engine"> {
  return {
    version: 1,
    workload: bundle.workload,
    directory: bundle.directory,
    socket,
    exitRecord,
    log: spec.log,
    limits: spec.limits,
    devices: [],
    allDevices: false,
    network: spec.network,
    main: {
      terminal: main.terminal,
      ...(main.terminalSize === undefined ? {} : { terminalSize: main.terminalSize }),
      stdin: main.stdin,
      stdinOnce: main.stdinOnce,
    },
  };
}

/** What is known of the sandbox by who connects to its supervisor. */
export interface SupervisedGiven {
  readonly launcher: Launcher;
  readonly log: Log;
  readonly terminal: boolean;
  readonly mainPid: number | undefined;
}

/** How the supervised sandbox of a bundle is reached, whatever it can do. */
export function supervisedFrame(
  bundle: Bundle,
  held: HeldBundle,
  places: { readonly exitRecord: string; readonly startMark: string },
  given: SupervisedGiven,
): Omit<SupervisedOptions, "facets"> {
  return {
    workload: bundle.workload,
    identity: held.identity,
    socket: held.socket,
    exitRecord: places.exitRecord,
    terminal: given.terminal,
    mainPid: given.mainPid,
    log: given.log,
    noteStart: () => placeMark(places.startMark),
    clear: () => clearSandbox(given.launcher, bundle),
  };
}

/** Ends what stands of a sandbox and keeps its directory, for a launch that is to come. */
export async function clearSandbox(launcher: Launcher, { workload, directory }: BundlePlace): Promise<void> {
  await launcher.request("remove", { workload, directory, keepDirectory: true });
}

/** Ends and removes everything of a sandbox. Idempotent. */
export async function removeSandbox(launcher: Launcher, { workload, directory }: BundlePlace): Promise<void> {
  await launcher.request("remove", { workload, directory, keepDirectory: false });
}

/** Where a supervisor listens: short, for a socket's path has at most 100 bytes. */
export function socketOf(sockets: string, workload: string): string {
  return `${sockets}/${workload.slice(0, 32)}.sock`;
}

/** UNAVAILABLE with the probe's finding and its remedy. `what` cannot be run here: `containers`. */
export function unusable(report: ProbeReport, workload: string, what: string): Failure {
  const missing = report.findings.find(({ level }) => level === "missing");
  return new Failure("UNAVAILABLE", missing?.what ?? `This host cannot run ${what}`, {
    workload,
    boundary: report.kind,
    ...(missing?.remedy === undefined ? {} : { remedy: missing.remedy }),
  });
}
