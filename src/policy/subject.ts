/** What the policy looks at: the workload as it would be, in whatever words it was asked for. */

import type { BoundaryIdentity } from "../contract/boundary.ts";
import type { LimitsSpec } from "../contract/spec.ts";

export interface PolicySubject {
  /** Every name of the image: the one asked for, all its tags and digests, its id. */
  readonly imageNames: readonly string[];
  readonly imageId: string;
  readonly labels: Readonly<Record<string, string>>;
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
    readonly devices: readonly { readonly hostPath: string }[];
    readonly maskedPaths?: readonly string[];
    readonly readOnlyPaths?: readonly string[];
  };
}
