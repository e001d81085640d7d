/** What a boundary encloses while it stands. */

import type { BoundaryIdentity } from "./boundary.ts";
import type { Call } from "./call.ts";
import type { AttachOptions, Attachment, ExitStatus, Process, ProcessSpec } from "./process.ts";
import type { LimitsSpec, RootSource } from "./spec.ts";

/** Why a sandbox is no more. `status` is the main process's, or the closest truth where that was lost. */
export type EndReason =
  | { readonly kind: "exited"; readonly status: ExitStatus }
  /** `end()` was called, or the launch was given up. */
  | { readonly kind: "ended"; readonly status: ExitStatus }
  /** The wall itself went: the VMM died, the supervisor was killed. `what` says what was seen. */
  | { readonly kind: "boundary-lost"; readonly status: ExitStatus; readonly what: string };

/**
 * As the host sees it, so that boundaries compare fairly; but memory and processes are those that count against the workload's limits, which in a machine
 * are the guest's (never more than the host sees). Counters grow from launch.
 */
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
  readonly files?: FilesFacet;
  readonly debug?: DebugFacet;
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

/** Whoever has it has `exec` too, whose `find` knows what is run here. */
export interface DebugFacet {
  /**
   * Runs a process beside the workload's: in their namespaces and ids, within their limits and guards, able to do no more than root there could, and with
   * `tools` for its root. What it writes there is seen by nobody else and kept nowhere; `/proc/1/root` is the workload's own root. When it ends,
   * whatever it has started ends, as it does with the sandbox. Rejects as `ExecFacet.run`.
   */
  run(process: ProcessSpec, tools: RootSource, attach: AttachOptions, call: Call): Promise<{ readonly process: Process; readonly attachment: Attachment }>;
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

/** What lies at a path inside. */
export interface FileStat {
  /** The path's last part, without a slash or `/.` behind it; `/` for the root. */
  readonly name: string;
  readonly sizeBytes: number;
  /** As `st_mode`: type and permissions. */
  readonly mode: number;
  /** RFC 3339 with nanoseconds. */
  readonly modifiedAt: string;
  /** Where a symbolic link points; empty for everything else. */
  readonly linkTarget: string;
}

export interface WriteFilesOptions {
  /** A directory does not replace what is none, nor the other way round: INVALID_SPEC then. */
  readonly keepKinds: boolean;
  /** Owners as the archive has them; else whoever owns the sandbox's root user. */
  readonly keepOwners: boolean;
}

/**
 * Files of the sandbox's own view, volumes included, held or running: carried out inside, by a process of ours that sees no more than the
 * workload does, so that no path and no link leads out. Archives are tar; their bytes are a stranger's in both directions.
 */
export interface FilesFacet {
  /** Links are followed on the way, and in the last part only before `/` or `/.`, as the kernel does. Rejects NOT_FOUND where nothing lies. */
  stat(path: string, call: Call): Promise<FileStat>;
  /**
   * What lies there with all below it; names in the archive begin with the path's last part: `.` where the path ends in `/.` (`./a`, not `web/a`),
   * and nothing for the root: `/` and `/bin`, as Docker's clients know it. The archive is read to its end or `return`ed.
   */
  read(path: string, call: Call): Promise<{ readonly stat: FileStat; readonly archive: AsyncIterable<Uint8Array> }>;
  /**
   * Unpacks into a directory that is there. Resolves once all is written. A cut archive or a full disk rejects; what was written before stays.
   */
  write(directory: string, archive: AsyncIterable<Uint8Array>, options: WriteFilesOptions, call: Call): Promise<void>;
}
