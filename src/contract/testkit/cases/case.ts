/** One promise of the contract, as something that any driver can be asked to show. */

import type { FacetName } from "../../driver.ts";
import type { Stage } from "../stage.ts";

export interface ConformanceCase {
  readonly title: string;
  /** Runs only where the probe declares it. */
  readonly needs?: FacetName;
  /** Runs only where host directories can be shown inside. */
  readonly needsHostPaths?: boolean;
  /** Runs only where a kernel stands behind the workload: users, host names, processes, signal handlers, terminals, a working directory. */
  readonly needsKernel?: boolean;
  /** Runs only where the driver has the template facet. */
  readonly needsTemplates?: boolean;
  run(stage: Stage): Promise<void>;
}
