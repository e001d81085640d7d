/**
 * What a sandbox shall be: its root, size, mounts, networks and guards. Resolved and complete: no names that still have
 * to be looked up, no defaults left to fill in. Any driver can carry it out, or says at `prepare` what it cannot.
 */

/** An image's files in the form that the driver's traits asked for. Paths are absolute, on the host. */
export type RootSource =
  | { readonly form: "directories" /** Uppermost layer first, as overlayfs wants them. */; readonly layers: readonly string[] }
  | {
      readonly form: "block-image";
      /** One read-only drive that carries every layer. */
      readonly drive: { readonly path: string; readonly format: "raw" | "vmdk" };
      /** Files that the drive is made of (the VMDK's extents): the VMM must be allowed to read these and no others. */
      readonly extents: readonly string[];
      /** Where each layer lies on the drive, uppermost first; offsets and lengths in bytes, multiples of 512. */
      readonly layers: readonly { readonly offsetBytes: number; readonly lengthBytes: number }[];
    }
  | {
      readonly form: "disk";
      /** A whole disk, raw, which is never written: the workload's own lies over it. */
      readonly file: string;
      readonly bytes: number;
    }
  | {
      readonly form: "module";
      /** Uppermost layer first; none where the image is a module and nothing else. */
      readonly layers: readonly string[];
      /** The module that the image is; absent where the command names one in the layers. */
      readonly file?: string;
    };

export type MountSpec =
  | {
      readonly kind: "bind";
      /** Absolute path on the host; exists, a directory or a file. */
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly propagation?: "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared";
      /** The volume's name where this is a named volume; only for display. */
      readonly volume?: string;
    }
  | {
      readonly kind: "tmpfs";
      readonly target: string;
      readonly readOnly: boolean;
      readonly sizeBytes?: number;
      readonly mode?: number;
      readonly options: readonly string[];
    };

export type NetworkSpec =
  /** Loopback only. */
  | { readonly kind: "none" }
  /** The host's own network. Refused by boundaries whose traits say so. */
  | { readonly kind: "host" }
  | {
      readonly kind: "bridge";
      /** The bridge's interface on the host. */
      readonly bridge: string;
      readonly interfaceName: string;
      /** IPv4 address in dotted form. */
      readonly address: string;
      readonly prefixLength: number;
      readonly gateway: string;
      /** Six bytes, colon-separated, lower case. */
      readonly mac: string;
      readonly mtu: number;
      readonly ports: readonly PortSpec[];
    };

export interface PortSpec {
  readonly protocol: "tcp" | "udp";
  /** Address on the host: `0.0.0.0` for all. */
  readonly hostAddress: string;
  /** Never 0: a free port has been chosen. */
  readonly hostPort: number;
  readonly workloadPort: number;
}

/** Absent means no limit. */
export interface LimitsSpec {
  readonly memoryBytes?: number;
  /** Memory and swap together, as Docker counts; -1 is unlimited swap. */
  readonly memorySwapBytes?: number;
  readonly memoryReservationBytes?: number;
  /** Processors' worth of time: 0.5 is half of one. */
  readonly cpus?: number;
  /** Relative weight, Docker's `--cpu-shares`: 2 to 262144. */
  readonly cpuShares?: number;
  /** Processors that may be used, in list form: `0-2,5`. */
  readonly cpuset?: string;
  readonly pids?: number;
  /** Most bytes that the workload may write into its root. */
  readonly diskBytes?: number;
  readonly oomScoreAdjust?: number;
}

export interface RlimitSpec {
  /** With prefix: `RLIMIT_NOFILE`. */
  readonly name: string;
  /** -1 is without limit, on every wire. */
  readonly soft: number;
  readonly hard: number;
}

export interface DeviceSpec {
  readonly hostPath: string;
  readonly path: string;
  /** Any of `r`, `w`, `m`. */
  readonly access: string;
}

export interface SecuritySpec {
  readonly privileged: boolean;
  /** Capability names with `CAP_`; the complete set, nothing is added. */
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  /** `default` is Docker's profile; otherwise the profile's JSON text. */
  readonly seccomp: "default" | "unconfined" | { readonly profile: string };
  /** Name of a profile that is loaded on the host, or `unconfined`; absent: the boundary's default where the host enforces AppArmor. */
  readonly appArmor?: string;
  readonly readOnlyRoot: boolean;
  readonly maskedPaths: readonly string[];
  readonly readOnlyPaths: readonly string[];
  /** Host namespaces that the workload joins, each a named decision. */
  readonly hostNamespaces: readonly ("pid" | "ipc" | "uts" | "cgroup" | "user")[];
  readonly devices: readonly DeviceSpec[];
}

export interface SandboxSpec {
  /** 64 hexadecimal digits; unique within this daemon's root. */
  readonly workload: string;
  /** Who may share a process with it, where a boundary lets workloads share one; absent: nobody. Workloads of two domains never do. */
  readonly domain?: string;
  readonly root: RootSource;
  readonly hostname: string;
  readonly domainName?: string;
  /** Lines of /etc/hosts and /etc/resolv.conf as the workload sees them; written by the driver. */
  readonly hosts: string;
  readonly resolvConf: string;
  readonly mounts: readonly MountSpec[];
  readonly network: NetworkSpec;
  readonly limits: LimitsSpec;
  readonly rlimits: readonly RlimitSpec[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly shmBytes: number;
  readonly security: SecuritySpec;
  /** Run a small init as process 1 that reaps and forwards signals. */
  readonly init: boolean;
  readonly log: LogSpec;
}

/**
 * Where the supervisor writes the workload's output; `none` keeps nothing. A full file becomes `path.1`, that one `path.2`, up to
 * `maxFiles - 1`: renamed from the highest number down, so that a reader looking upwards misses none. With one file it is cut to nothing.
 */
export type LogSpec =
  | { readonly kind: "none" }
  | {
      readonly kind: "json-file";
      readonly path: string /** Size at which a file is rotated; absent: never. */;
      readonly maxBytes?: number;
      readonly maxFiles: number;
    };
