/** What the store keeps of a workload. Plain, versioned data: every older version stays readable. */

import type { BoundaryIdentity } from "../contract/boundary.ts";
import type { Bundle } from "../contract/driver.ts";
import type { ExitStatus, ProcessSpec } from "../contract/process.ts";
import type { MountSpec, NetworkSpec } from "../contract/spec.ts";
import type { PortWish } from "../networks/index.ts";
import type { ExecRequest, HealthCheck, MountView, WorkloadRequest, WorkloadState } from "./index.ts";

export interface WorkloadRecord {
  readonly version: 1;
  readonly id: string;
  readonly name: string;
  readonly request: WorkloadRequest;
  readonly imageId: string;
  readonly boundary: BoundaryIdentity;
  /** What runs, after image and request were merged. */
  readonly main: ProcessSpec;
  readonly labels: Readonly<Record<string, string>>;
  readonly hostname: string;
  readonly ports: readonly PortWish[];
  readonly mounts: readonly MountSpec[];
  readonly mountViews: readonly MountView[];
  readonly stopSignal: string;
  readonly healthCheck?: HealthCheck;
  readonly createdAt: string;

  readonly state: WorkloadState;
  /**
   * `launching` is written before a launch begins and stays until its main process was let go or the launch was given up:
   * a new daemon that finds it asks the driver what stands.
   */
  readonly step: "idle" | "launching";
  readonly bundle?: Bundle | undefined;
  /** Held from launch to end. */
  readonly network?: NetworkSpec | undefined;
  readonly startedAt?: string | undefined;
  readonly finishedAt?: string | undefined;
  readonly exit?: ExitStatus | undefined;
  readonly error?: string | undefined;
  readonly restartCount: number;
  /** Asked to stop by a caller: `unless-stopped` stays down. */
  readonly stoppedByHand: boolean;
  /** Its removal takes anonymous volumes along: written with the intent to remove it. */
  readonly removesVolumes?: boolean;
}

/** An exec that runs: enough for a later daemon to find it again. Written before it begins, and again once its number is known. */
export interface ExecRecord {
  readonly version: 1;
  readonly id: string;
  readonly workload: string;
  readonly request: ExecRequest;
  /** Absent: a daemon that finds it so died while this began; where it did begin, the sandbox knows it by its id as `name`. */
  readonly number?: number;
}
