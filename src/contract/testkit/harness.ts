/** What a driver's author brings so that the conformance suite can be run on it. */

import type { BoundaryDriver } from "../driver.ts";
import type { SandboxSpec } from "../spec.ts";
import type { Vocabulary } from "./vocabulary.ts";

export interface ConformanceHarness {
  /** The one that is open now: after `reopen`, the new one. */
  readonly driver: BoundaryDriver;
  readonly vocabulary: Vocabulary;
  /** Gives up everything that the driver holds in memory, as SIGKILL to the daemon does, and opens another. The old one is not used again. */
  reopen(): Promise<BoundaryDriver>;
  /** A spec with a fresh workload id, a root that holds the vocabulary's programs, no network, and `json-file` as its log below `directory`. */
  makeSpec(): Promise<SandboxSpec>;
  /** Where a workload's files go; not made yet. */
  directoryOf(workload: string): string;
  /** A new empty directory of the host for binds, removed by `close`. */
  makeHostDirectory(): Promise<string>;
  /** Everything on the host that a workload can leave: processes, mounts, cgroups, namespaces, taps, files. Compared deeply, before and after. */
  snapshot(): Promise<unknown>;
  /** Memory limit that this boundary can live with, for the case that exceeds it. */
  readonly smallMemoryBytes: number;
  /** Resident bytes of what stands between the workload and its reader, for the back-pressure case; absent where it cannot be told apart. */
  bufferedBytes?(workload: string): Promise<number>;
  /** Damages a template where its directory is, so that nothing can begin from it any more. For drivers with templates. */
  readonly damageTemplate?: (directory: string) => Promise<void>;
  close(): Promise<void>;
}

/** Instead of a harness where this host lacks the boundary: the suite prints it and runs nothing. */
export interface Unavailable {
  readonly unavailable: string;
}
