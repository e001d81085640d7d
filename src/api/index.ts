/**
 * The API: Docker's vocabulary and our own over one unix socket. This file is the folder's whole face. It decides nothing:
 * it reads, asks the policy, calls the engine, and words the answer.
 */

import type { Call, Log } from "../contract/call.ts";
import type { Finding } from "../contract/driver.ts";
import type { Engine } from "../engine/index.ts";
import type { Images } from "../images/index.ts";
import type { Networks } from "../networks/index.ts";
import type { Volumes } from "../volumes/index.ts";
import type { Authorize } from "./access.ts";
import type { Identify } from "./connections.ts";
import { API_VERSION, readVersion } from "./docker/api-version.ts";
import type { DockerParts, ServerFacts } from "./docker/parts.ts";
import { dockerRoutes } from "./docker/routes.ts";
import { auditRoutes } from "./native/audit.ts";
import { adviceRoutes, type AdviceSource } from "./native/advice.ts";
import { debugRoutes } from "./native/debug.ts";
import { hostRoutes } from "./native/host.ts";
import { planRoutes, type PlanParts } from "./native/plan.ts";
import { policyRoutes, type PolicySource } from "./native/policy.ts";
import { runRoutes } from "./native/run.ts";
import { ApiServer } from "./server.ts";

export type { Authorize, Identity, Intent } from "./access.ts";
export type { Identify } from "./connections.ts";
export type { ChosenIsolation, FallenBack, ServerFacts } from "./docker/parts.ts";
export type { AdviceSource } from "./native/advice.ts";
export type { PolicySource } from "./native/policy.ts";

export interface ApiParts {
  readonly engine: Engine;
  readonly images: Images;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly server: ServerFacts;
  /** Who is at the other end, by the kernel's word; asked once per connection. */
  readonly identify: Identify;
  /** Web pages that may ask, and names by which the API may be asked: HOST or HOST:PORT; none where it is left out. */
  readonly trustedHosts?: readonly string[];
  /** Rejects DENIED_BY_POLICY. Called once for every request that touches the engine, with the whole spec where there is one. */
  readonly authorize: Authorize;
  /** Everything that doctor looks at, found out anew. */
  readonly diagnose: (call: Call) => Promise<readonly Finding[]>;
  readonly chooseIsolation: DockerParts["chooseIsolation"];
  readonly fallBack: DockerParts["fallBack"];
  /** The policy in force, for who asks what it would say. */
  readonly policy: PolicySource;
  /** What the advisor knows of this host. */
  readonly advice: AdviceSource;
  /** Bytes of the disk that workloads lie on. */
  readonly diskBytes: PlanParts["diskBytes"];
  /** Lets the daemon end as a SIGTERM would: workloads go on, unless all that the daemon has on the host shall be taken away. */
  readonly stopDaemon?: (options: { readonly teardown: boolean }) => void;
  readonly log: Log;
  readonly now?: () => number;
}

export interface Api {
  /** Listens on a unix socket. Mode and group are the caller's: set a umask before. Rejects ALREADY_EXISTS where one is in use. */
  listen(path: string): Promise<void>;
  /** Ends streams, lets single deeds finish for ten seconds, closes every connection. Ends no workload. */
  close(): Promise<void>;
}

export function createApi(parts: ApiParts): Api {
  const adapted = { ...parts, now: parts.now ?? Date.now };
  return new ApiServer({
    routes: [
      ...dockerRoutes(adapted),
      ...debugRoutes(adapted),
      ...hostRoutes(adapted),
      ...adviceRoutes(adapted),
      ...auditRoutes(adapted),
      ...planRoutes(adapted),
      ...policyRoutes(adapted),
      ...runRoutes(adapted),
    ],
    identify: parts.identify,
    authorize: parts.authorize,
    trustedHosts: parts.trustedHosts ?? [],
    log: parts.log,
    readVersion,
    headers: {
      "Api-Version": API_VERSION,
      "Docker-Experimental": "false",
      Ostype: "linux",
      Server: `Bulkhead/${parts.server.version} (linux)`,
      // The stock client takes `docker build` to BuildKit's protocol by this.
      "Builder-Version": "2",
    },
  });
}
