/** Who asks, and what for: the two things that admission compares before anything reaches the engine. */

import type { ExecRequest, WorkloadRequest } from "../engine/index.ts";
import type { LimitsSpec } from "../contract/spec.ts";
import type { Identity } from "../policy/index.ts";

export type { Identity };

/** What a request would do. A verb that makes or changes a workload carries the whole of what was asked. */
export interface Intent {
  /** Method and path as the router knows them: `POST /containers/{id}/start`. */
  readonly action: string;
  /** Reference of the workload, image, network, volume or exec that it is about. */
  readonly subject?: string;
  readonly request?: WorkloadRequest;
  readonly exec?: ExecRequest;
  readonly limits?: LimitsSpec;
}

/** Rejects DENIED_BY_POLICY; resolves to nothing where it is allowed. */
export type Authorize = (identity: Identity, intent: Intent) => Promise<void> | void;
