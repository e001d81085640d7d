/** A workload as the rules look at it, whichever document it was read from. */

export const NAMESPACES = ["network", "pid", "ipc", "uts", "user", "cgroup"] as const;
export type Namespace = (typeof NAMESPACES)[number];

export interface MountView {
  /** A path of the host, a volume's name, or empty for memory. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly propagation: string;
}

export interface PortView {
  /** As written, `8080/tcp`. */
  readonly port: string;
  readonly hostAddress: string;
  /** Undefined where the daemon chooses one. */
  readonly hostPort: number | undefined;
}

export interface WorkloadView {
  /** The workload's or the service's name. */
  readonly name: string;
  /** Undefined: the daemon's default. Emulated machines are no wall. */
  readonly boundary: { readonly kind: string; readonly emulated: boolean } | undefined;
  readonly image: string;
  /** Empty: nobody said, neither the document nor the image. */
  readonly user: string;
  readonly command: readonly string[];
  /** `NAME=value`, or `NAME` alone where the value comes from elsewhere. */
  readonly environment: readonly string[];
  readonly privileged: boolean;
  /** Upper case, without `CAP_`. */
  readonly capabilitiesAdded: readonly string[];
  readonly capabilitiesDropped: readonly string[];
  readonly hostNamespaces: readonly Namespace[];
  /** By name: `seccomp` → `unconfined`; `true` where the option stands alone. */
  readonly securityOptions: Readonly<Record<string, string>>;
  /** System paths are shown that are hidden or read-only by default. */
  readonly unmasked: boolean;
  readonly readOnlyRoot: boolean;
  readonly mounts: readonly MountView[];
  readonly devices: readonly string[];
  readonly sysctls: Readonly<Record<string, string>>;
  /** Zero: none. */
  readonly memoryBytes: number;
  readonly pids: number;
  readonly cpus: number;
  readonly ports: readonly PortView[];
  readonly restart: string;
  readonly healthCheck: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** Suppressions that it carries itself: the finding's id and why. */
  readonly accepted: Readonly<Record<string, string>>;
}

/** What can be changed in any document that a workload was read from. */
export type Edit =
  | { readonly kind: "unprivileged" }
  | { readonly kind: "without-capability"; readonly capability: string }
  | { readonly kind: "drop-capabilities" }
  | { readonly kind: "own-namespace"; readonly namespace: Namespace }
  | { readonly kind: "security-option"; readonly name: string /** Undefined: the default. */; readonly value: string | undefined }
  | { readonly kind: "mask-paths" }
  | { readonly kind: "without-mount"; readonly target: string }
  | { readonly kind: "private-mount"; readonly target: string }
  | { readonly kind: "without-device"; readonly path: string }
  | { readonly kind: "without-sysctl"; readonly name: string }
  | { readonly kind: "read-only-root" }
  | { readonly kind: "memory"; readonly bytes: number }
  | { readonly kind: "pids"; readonly most: number }
  | { readonly kind: "cpus"; readonly cpus: number }
  | { readonly kind: "loopback"; readonly port: string }
  | { readonly kind: "user"; readonly user: string }
  | { readonly kind: "restart-on-failure" };
