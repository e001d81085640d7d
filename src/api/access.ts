/** Who asks, and what for: the two things that admission compares before anything reaches the engine. */

import type { ExecRequest, RestartPolicy, WorkloadRequest } from "../engine/index.ts";
import type { LimitsSpec } from "../contract/spec.ts";
import type { Identity } from "../policy/index.ts";

export type { Identity };

/** What a request would do. A verb that makes or changes a workload carries the whole of what was asked. */
export interface Intent {
  /** Method and path as the router knows them: `POST /containers/{id}/start`. */
  readonly action: string;
  /** Reference of the workload, image, network or volume that it is about; for an exec the full id of its workload. */
  readonly subject?: string;
  readonly request?: WorkloadRequest;
  /** What an exec runs: when it is created, and again at whatever is done with it. */
  readonly exec?: ExecRequest;
  readonly execId?: string;
  readonly limits?: LimitsSpec;
  readonly restart?: RestartPolicy;
}

/** Rejects DENIED_BY_POLICY; resolves to nothing where it is allowed. */
export type Authorize = (identity: Identity, intent: Intent) => Promise<void> | void;
