/** What every resource of the Docker adapter works with. */

import type { BoundaryKind } from "../../contract/boundary.ts";
import type { Call, Log } from "../../contract/call.ts";
import type { Engine, EngineEvent, WorkloadRequest } from "../../engine/index.ts";
import type { Images } from "../../images/index.ts";
import type { Networks } from "../../networks/index.ts";
import type { Volumes } from "../../volumes/index.ts";
import type { Identity } from "../access.ts";

/** Facts about this daemon that no face of the engine knows. */
export interface ServerFacts {
  /** Version of Bulkhead. */
  readonly version: string;
  /** Commit that it was built from; empty where nobody knows. */
  readonly commit: string;
  /** Stable identity of the root. */
  readonly id: string;
  readonly rootDirectory: string;
  readonly cgroup: "v1" | "v2";
  /** Registries that are spoken to without TLS: `127.0.0.0/8` style or host names. */
  readonly insecureRegistries: readonly string[];
}

/** A boundary chosen for one workload, and why in one sentence. */
export interface ChosenIsolation {
  readonly isolation: BoundaryKind;
  readonly because: string;
}

/** What the operator's policy lets stand in for a boundary that cannot be had here. */
export interface FallenBack extends ChosenIsolation {
  readonly insteadOf: BoundaryKind;
}

export interface DockerParts {
  readonly engine: Engine;
  readonly images: Images;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly server: ServerFacts;
  readonly log: Log;
  /** Chooses by advice where a request says `auto`. */
  readonly chooseIsolation: (request: WorkloadRequest, identity: Identity, call: Call) => Promise<ChosenIsolation>;
  /** Undefined where what is asked for stands by itself, or is refused. */
  readonly fallBack: (request: WorkloadRequest, identity: Identity, call: Call) => Promise<FallenBack | undefined>;
  /** Milliseconds since the epoch; for tests. */
  readonly now: () => number;
}

/** Tells of what the faces without events of their own did. */
export function announce(parts: DockerParts, kind: EngineEvent["kind"], name: string, subject: string): void {
  parts.engine.announce({ kind, name, subject, attributes: { name: subject } });
}
