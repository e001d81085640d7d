/** What a boundary encloses while it stands. */

import type { BoundaryIdentity } from "./boundary.ts";
import type { Call } from "./call.ts";
import type { AttachOptions, Attachment, ExitStatus, Process, ProcessSpec } from "./process.ts";
import type { LimitsSpec } from "./spec.ts";

/** Why a sandbox is no more. `status` is the main process's, or the closest truth where that was lost. */
export type EndReason =
  | { readonly kind: "exited"; readonly status: ExitStatus }
  /** `end()` was called, or the launch was given up. */
  | { readonly kind: "ended"; readonly status: ExitStatus }
  /** The wall itself went: the VMM died, the supervisor was killed. `what` says what was seen. */
  | { readonly kind: "boundary-lost"; readonly status: ExitStatus; readonly what: string };

/** As the host sees it, so that boundaries compare fairly. Counters grow from launch. */
export interface ResourceUse {
  /** When it was read, RFC 3339 with nanoseconds. */
  readonly at: string;
  readonly cpuTotalNs: number;
  readonly cpuUserNs: number;
  readonly cpuSystemNs: number;
  readonly memoryBytes: number;
  /** Page cache that would be given back first. */
  readonly memoryInactiveFileBytes: number;
  /** 0 where there is no limit. */
  readonly memoryLimitBytes: number;
  readonly pids: number;
  readonly pidsLimit: number;
  readonly diskReadBytes: number;
  readonly diskWriteBytes: number;
  readonly networkReceivedBytes: number;
  readonly networkReceivedPackets: number;
  readonly networkSentBytes: number;
  readonly networkSentPackets: number;
  /** Times a limit made the kernel kill for memory. */
  readonly outOfMemoryKills: number;
}

/**
 * A standing sandbox. Its main process is created and held: nothing of the workload's program has run until `start`.
 * The facets are absent, not broken: a boundary that cannot do a thing has no such property.
 */
export interface Sandbox {
  readonly identity: BoundaryIdentity;
  readonly main: Process;
  /** Settles once, never rejects, only after the main process's output has been logged. */
  readonly ended: Promise<EndReason>;
  /** Lets the main process go. Rejects COMMAND_NOT_FOUND or COMMAND_NOT_EXECUTABLE, and the sandbox then ends. */
  start(call: Call): Promise<void>;
  stats(call: Call): Promise<ResourceUse>;
  /** Ends the whole boundary at once, every process in it; resolves when `ended` has settled. Repeatable. */
  end(call: Call): Promise<void>;

  readonly exec?: ExecFacet;
  readonly pause?: PauseFacet;
  readonly resize?: ResizeFacet;
  readonly top?: TopFacet;
  readonly snapshot?: SnapshotFacet;
}

export interface ExecFacet {
  /**
   * Runs a further process inside. The attachment is joined before its first byte. Rejects COMMAND_NOT_FOUND,
   * COMMAND_NOT_EXECUTABLE, and WRONG_STATE where the main process does not run.
   */
  run(process: ProcessSpec, attach: AttachOptions, call: Call): Promise<{ readonly process: Process; readonly attachment: Attachment }>;
  /** Finds an exec that was begun earlier, also by a daemon before this one, by its number or its name; undefined once it is forgotten. */
  find(exec: number | string): Process | undefined;
}

export interface PauseFacet {
  pause(call: Call): Promise<void>;
  resume(call: Call): Promise<void>;
}

export interface ResizeFacet {
  /** Changes limits while the sandbox stands; absent fields stay. Rejects UNSUPPORTED naming the limit that cannot. */
  update(limits: LimitsSpec, call: Call): Promise<void>;
}

export interface TopFacet {
  /** Processes inside: column titles and rows, as `ps` prints them. */
  processes(call: Call): Promise<{ readonly titles: readonly string[]; readonly rows: readonly (readonly string[])[] }>;
}

/** Filled in with templates and forks; its presence means that the state can be saved with memory included. */
export interface SnapshotFacet {
  save(directory: string, call: Call): Promise<void>;
}
