/**
 * What the launcher's fork, the supervisor, is told to raise. Plain data; written by a driver, carried out in Rust.
 *
 * Order of work in the supervisor: new session, every inherited descriptor closed → own mount namespace → ports bound →
 * cgroups made with their limits → network namespace, veth or tap → root mounted → engine started and held → answer
 * sent through the launcher → socket served. At the end: pipes drained → exit record written → waiters answered → everything unmade.
 */

import type { TerminalSize } from "./process.ts";
import type { LimitsSpec, LogSpec, NetworkSpec, RlimitSpec, DeviceSpec, MountSpec } from "./spec.ts";

export interface LaunchPlan {
  /** More than 1 where something is asked for that an older launcher would leave out without a word: 2 `ownIds`, 3 `disk`. */
  readonly version: 1 | 2 | 3;
  readonly workload: string;
  /** The workload's own directory, below the root. */
  readonly directory: string;
  /** Where the supervisor listens: a path of at most 100 bytes. */
  readonly socket: string;
  /** Appears by rename before any waiter is answered: `ExitRecord`. Not synced: after a crash of the host it may be missing or empty. */
  readonly exitRecord: string;
  readonly log: LogSpec;
  readonly limits: LimitsSpec;
  readonly devices: readonly DeviceSpec[];
  /** Every device, as `--privileged` asks. */
  readonly allDevices: boolean;
  readonly network: NetworkSpec;
  readonly main: MainStdio;
  readonly engine: OciEngine | MachineEngine | DiskMachineEngine | WasmEngine;
}

/** How the main process's stdio is wired. The rest of the process lies in the engine's part. */
export interface MainStdio {
  readonly terminal: boolean;
  readonly terminalSize?: TerminalSize;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
}

/** A command-line OCI runtime: crun, runc, runsc. */
export interface OciEngine {
  readonly kind: "oci";
  /** Absolute path of the runtime, its name in the table that the launcher knows how to drive. */
  readonly runtime: { readonly name: "crun" | "runc" | "runsc"; readonly path: string; readonly arguments: readonly string[] };
  /**
   * Directory with `config.json`, below the workload's directory. Its root path is `rootfs`, which the supervisor mounts. It lists
   * no network namespace, no cgroup path and no resources: the supervisor makes these and starts the runtime inside them.
   */
  readonly bundle: string;
  /** overlayfs: uppermost layer first. */
  readonly root: { readonly lower: readonly string[]; readonly upper: string; readonly work: string; readonly readOnly: boolean };
  /** Holds `upper` and `work`, at its top, where what is written is limited in size: a file that the supervisor makes where it is not there, and mounts. */
  readonly disk?: { readonly path: string; readonly bytes: number };
  /** Compiled seccomp filters are cached under this key; absent: nothing to cache. */
  readonly seccompKey?: string;
  /**
   * A user namespace and a range of 65,536 ids that nobody of this host has, which the supervisor makes together with the network namespace. It
   * shows layers, files and sources of binds with that range's owners, and makes nodes for `devices`: the bundle names none.
   */
  readonly ownIds?: boolean;
  /** Defaults for exec, as in `process` of the OCI runtime specification; an exec's own fields replace them. */
  readonly execProcess: unknown;
}

/** The monitor of a machine, whatever the machine is. */
export interface MonitorPlan {
  /**
   * Absolute path and arguments of the VMM. `{agent}`, `{line}`, `{tap}`, `{share:N}`, `{control}` in them are replaced by descriptors that the
   * supervisor opened, `{memory}` by a path.
   */
  readonly program: string;
  readonly arguments: readonly string[];
  /** The VMM runs as this uid and gid, or as the next one that no other machine of the host has, in namespaces of its own, in a root that holds only `files`. */
  readonly uid: number;
  readonly gid: number;
  readonly files: readonly { readonly path: string; readonly writable: boolean }[];
  readonly kvm: boolean;
  /** Deadline for the agent's first word; without an agent for the monitor's own. */
  readonly bootDeadlineMs: number;
}

/**
 * A virtual machine with an operating system of its own, on a disk of its own, and nothing of ours inside. The main process is the machine:
 * its serial line (`{line}`) is the terminal, its processors stand until `start`, a power-off by the guest is exit code 0, and what asks a process to
 * end presses its power button.
 */
export interface DiskMachineEngine extends MonitorPlan {
  readonly kind: "disk-machine";
  /** qcow2, over the image as the arguments say; made by the supervisor where it is not there, as long as the workload lives. */
  readonly disk: { readonly path: string; readonly bytes: number };
  /** What the machine is told by DHCP beside its address. */
  readonly names: { readonly hostname: string; readonly servers: readonly string[] };
}

/** A virtual machine with our agent inside. */
export interface MachineEngine extends MonitorPlan {
  readonly kind: "machine";
  /** Size-limited writable disk for the overlay's upper half, made by the supervisor as a sparse file. */
  readonly scratch: { readonly path: string; readonly bytes: number };
  /** What the agent is told once it is up: nothing of this is in the boot. See `agent-protocol.ts`. */
  readonly guest: GuestConfiguration;
  /** The main process, told to the agent at `start`. */
  readonly mainProcess: GuestProcess;
  /** Host directories served into the machine, in the order of the guest's volume ports. */
  readonly shares: readonly { readonly source: string; readonly readOnly: boolean }[];
  /**
   * Present where the machine's memory is a file. `save`: boots placeholders to the agent's first word, is written into two new files below
   * the workload's directory, and is gone when the launch is answered; nothing of the run is used. `resume`: begins from such files, which
   * are only read: the monitor gets a sealed copy of the memory, so that no machine can change what the next one begins from.
   */
  readonly template?: { readonly mode: "save" | "resume"; readonly memory: string; readonly memoryBytes: number; readonly state: string };
}

/**
 * An instance in the wasm runner of its domain. It has no supervisor of the launcher's own: the runner, one confined process for a
 * domain, is started where none is, and supervises its instances itself. Exit record and log lie directly in the workload's directory.
 */
export interface WasmEngine {
  readonly kind: "wasm";
  /** Names the runner: 1 to 32 small letters and digits. */
  readonly domain: string;
  /** The runner's own user and group. */
  readonly uid: number;
  readonly gid: number;
  /** What `compileModule` wrote. */
  readonly module: string;
  readonly arguments: readonly string[];
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  /** Absent: the instance has no files but what is mounted. */
  readonly root?: OciEngine["root"];
  readonly mounts: readonly MountSpec[];
  /** Most seconds of processor time; 0: no limit. */
  readonly cpuSeconds: number;
}

export interface GuestConfiguration {
  readonly hostname: string;
  readonly domainName?: string;
  /** Full texts of the files. */
  readonly hosts: string;
  readonly resolvConf: string;
  readonly network: {
    readonly interfaceName: string;
    readonly address: string;
    readonly prefixLength: number;
    readonly gateway: string;
    readonly mac: string;
    readonly mtu: number;
  } | null;
  /** Layers on the root drive, uppermost first, in bytes. */
  readonly layers: readonly { readonly offsetBytes: number; readonly lengthBytes: number }[];
  readonly readOnlyRoot: boolean;
  /** Binds refer to a share by its position. A `file` share binds one file. */
  readonly mounts: readonly GuestMount[];
  readonly shmBytes: number;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly limits: LimitsSpec;
  readonly maskedPaths: readonly string[];
  readonly readOnlyPaths: readonly string[];
}

export type GuestMount =
  | Extract<MountSpec, { kind: "tmpfs" }>
  | {
      readonly kind: "share";
      readonly share: number;
      readonly target: string;
      readonly readOnly: boolean /** Name of the single file inside the share, where one file is bound. */;
      readonly file?: string;
    };

export interface GuestProcess {
  readonly command: readonly string[];
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  readonly user: string;
  readonly additionalGroups: readonly string[];
  readonly terminal: boolean;
  readonly terminalSize?: TerminalSize;
  readonly stdin: boolean;
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  readonly rlimits: readonly RlimitSpec[];
  readonly init: boolean;
  readonly oomScoreAdjust?: number;
  /** In place of a command, which is then empty: an older supervisor refuses that. */
  readonly files?: FilesOrder;
  /** In place of a command, which is then empty: an older supervisor refuses that. */
  readonly tools?: Tools;
}

/** A process beside the workload's, with a root of its own. Absent behind a boundary whose processes share one root. */
export interface Tools {
  /** Layers below the root directory, uppermost first. What is written over them stays in memory, and goes with the process. */
  readonly lower: readonly string[];
  /** As a bundle's `config.json`, the process included: of the namespaces that it lists all but `mount` are the workload's, and joined. */
  readonly config: unknown;
}

/**
 * What a process of ours does with files inside, by its stdio. It has the privileges of root inside over files and no others, none of the
 * workload's namespaces but those of mounts and users, and executes nothing of the workload's.
 *
 *     stat    stdout: one line of JSON, `{"ok": FileStat}` or `{"failure": {"code", "message"}}`
 *     read    stdout: that line, then a tar until the end of the stream; a failure after the line is an exit code that is not 0, with a line on stderr
 *     write   stdin: a tar; stdout: `{"ok": null}` or the failure, once all is written
 */
export type FilesOrder =
  | { readonly verb: "stat" | "read"; readonly path: string }
  | { readonly verb: "write"; readonly path: string; readonly keepKinds: boolean; readonly keepOwners: boolean };

/** What stays of a sandbox when everything else is gone: the file `exitRecord`. */
export interface ExitRecord {
  readonly version: 1;
  readonly workload: string;
  readonly kind: "exited" | "ended" | "boundary-lost";
  readonly what?: string;
  readonly code: number;
  readonly signal?: string;
  readonly outOfMemory: boolean;
  /** RFC 3339 with nanoseconds, UTC. */
  readonly at: string;
  /** Whether `start` was ever asked for. */
  readonly started: boolean;
}
