/** What the policy looks at: the workload as it would be, in whatever words it was asked for. */

import type { BoundaryIdentity } from "../contract/boundary.ts";
import type { LimitsSpec } from "../contract/spec.ts";

export interface PolicySubject {
  /** Every name of the image: the one asked for, all its tags and digests, its id. */
  readonly imageNames: readonly string[];
  readonly imageId: string;
  /** Every value that a label has, the image's and the request's: neither hides the other. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
  readonly boundary: BoundaryIdentity;
  readonly network: string;
  readonly limits: LimitsSpec;
  /** Sources of binds, symbolic links resolved. */
  readonly hostPaths: readonly string[];
  readonly security: {
    readonly privileged: boolean;
    readonly capabilitiesAdd: readonly string[];
    readonly noNewPrivileges?: boolean;
    readonly seccomp?: "unconfined" | object;
    readonly appArmor?: string;
    readonly hostNamespaces: readonly string[];
    /** Every name of each device: as it was asked for, with links resolved, and the kernel's own. */
    readonly devices: readonly string[];
    /** System paths that are hidden or read-only by default, and are not for this workload. */
    readonly unmaskedPaths: readonly string[];
  };
}
