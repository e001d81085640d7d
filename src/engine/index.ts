/**
 * The engine: it decides. Names, life cycle, restarts, stop ladders, logs, adoption. This file is its whole face; `api`
 * knows nothing else of it, and it knows nothing of Docker, HTTP or any boundary's name.
 *
 * A `reference` is a workload's name, its id, or an unambiguous beginning of its id. Every method rejects with a
 * `Failure`; NOT_FOUND where the reference names nothing.
 */

import type { BoundaryIdentity, BoundaryKind } from "../contract/boundary.ts";
import type { Call } from "../contract/call.ts";
import type { AttachOptions, Attachment, ExitStatus, TerminalSize } from "../contract/process.ts";
import type { FileStat, ResourceUse, WriteFilesOptions } from "../contract/sandbox.ts";
import type { DeviceSpec, LimitsSpec, NetworkSpec, RlimitSpec } from "../contract/spec.ts";
import type { ProbeReport } from "../contract/driver.ts";

/** What a caller asks for. Absent is "not said": the image, then the daemon's defaults, decide. */
export interface WorkloadRequest {
  readonly name?: string;
  readonly image: string;
  /** Wanted platform of a multi-platform image: `linux/arm64`. */
  readonly platform?: string;
  readonly isolation?: BoundaryKind;
  /** What was asked for, where the operator's policy let `isolation` stand in for it. */
  readonly insteadOf?: BoundaryKind;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment: readonly string[];
  readonly workingDirectory?: string;
  readonly user?: string;
  readonly additionalGroups: readonly string[];
  readonly hostname?: string;
  readonly domainName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly terminal: boolean;
  /** First size of the terminal. */
  readonly terminalSize?: TerminalSize;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly mounts: readonly MountRequest[];
  /** `none`, `host`, `bridge`, or a network's name. */
  readonly network: string;
  /** The caller named no network: a boundary that has none may leave it out. */
  readonly networkByDefault?: true;
  readonly ports: readonly PortRequest[];
  /** Publish every exposed port on a free port of the host. */
  readonly publishAll: boolean;
  readonly exposedPorts: readonly { readonly protocol: "tcp" | "udp"; readonly port: number }[];
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  /** `name:address`. */
  readonly extraHosts: readonly string[];
  readonly limits: LimitsSpec;
  readonly rlimits: readonly RlimitSpec[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly shmBytes?: number;
  readonly security: SecurityRequest;
  readonly init: boolean;
  /** A machine shall boot, though there be a template of its shape. */
  readonly cold?: boolean;
  readonly restart: RestartPolicy;
  readonly autoRemove: boolean;
  readonly stopSignal?: string;
  readonly stopTimeoutSeconds?: number;
  readonly log: { readonly driver: "json-file" | "none"; readonly maxBytes?: number; readonly maxFiles?: number };
  readonly healthCheck?: HealthCheck;
  /** Who asks, for boundaries in which workloads may share a process: theirs share one with nobody else's. */
  readonly domain?: string;
  /** The adapter's own memory of what was asked, given back unchanged in the view. Plain JSON. */
  readonly adapter?: unknown;
}

export interface SecurityRequest {
  readonly privileged: boolean;
  readonly capabilitiesAdd: readonly string[];
  readonly capabilitiesDrop: readonly string[];
  readonly noNewPrivileges?: boolean;
  readonly seccomp?: "unconfined" | { readonly profile: string };
  readonly appArmor?: string;
  readonly readOnlyRoot: boolean;
  readonly hostNamespaces: readonly ("pid" | "ipc" | "uts" | "cgroup" | "user")[];
  readonly devices: readonly DeviceSpec[];
  readonly maskedPaths?: readonly string[];
  readonly readOnlyPaths?: readonly string[];
}

export type MountRequest =
  | {
      readonly kind: "bind";
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean /** Docker's `-v` makes a missing source. */;
      readonly createSource: boolean;
      readonly propagation?: "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared";
    }
  | {
      readonly kind: "volume" /** Empty: anonymous. */;
      readonly name: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly copyUp: boolean;
      readonly labels?: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: "tmpfs";
      readonly target: string;
      readonly readOnly: boolean;
      readonly sizeBytes?: number;
      readonly mode?: number;
      readonly options: readonly string[];
    };

export interface PortRequest {
  readonly protocol: "tcp" | "udp";
  /** Empty: all addresses. */
  readonly hostAddress: string;
  /** 0: a free one. */
  readonly hostPort: number;
  readonly workloadPort: number;
}

export interface RestartPolicy {
  readonly name: "no" | "always" | "unless-stopped" | "on-failure";
  /** For on-failure; 0 is without end. */
  readonly maximumRetries: number;
}

export interface HealthCheck {
  readonly test: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly startPeriodMs: number;
  readonly retries: number;
}

export type WorkloadState = "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";

/** A workload as it is now. Instants are RFC 3339 with nanoseconds, UTC. */
export interface WorkloadView {
  readonly id: string;
  readonly name: string;
  readonly request: WorkloadRequest;
  /** `sha256:…` of the image's configuration, and the reference that was asked for. */
  readonly imageId: string;
  readonly boundary: BoundaryIdentity;
  /** What really runs, after image and request were merged. */
  readonly process: { readonly command: readonly string[]; readonly environment: readonly string[]; readonly workingDirectory: string; readonly user: string };
  readonly labels: Readonly<Record<string, string>>;
  readonly hostname: string;
  readonly state: WorkloadState;
  readonly createdAt: string;
  readonly startedAt: string | undefined;
  readonly finishedAt: string | undefined;
  readonly exit: ExitStatus | undefined;
  /** Why it could not be started, or what was seen when it was lost. */
  readonly error: string | undefined;
  readonly hostPid: number | undefined;
  readonly restartCount: number;
  readonly health: "none" | "starting" | "healthy" | "unhealthy";
  readonly network: NetworkSpec | undefined;
  readonly networkName: string;
  readonly mounts: readonly MountView[];
  readonly logPath: string | undefined;
  readonly execs: readonly string[];
}

export interface MountView {
  readonly kind: "bind" | "volume" | "tmpfs";
  readonly volume: string | undefined;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

export interface ExecRequest {
  readonly command: readonly string[];
  readonly environment: readonly string[];
  readonly workingDirectory?: string;
  readonly user?: string;
  readonly terminal: boolean;
  readonly attach: AttachOptions;
  readonly privileged: boolean;
  /** An image whose files are its root, beside the workload's: a debug session, which ends with all that it started. */
  readonly tools?: string;
  readonly adapter?: unknown;
}

export interface ExecView {
  readonly id: string;
  readonly workload: string;
  readonly request: ExecRequest;
  readonly running: boolean;
  readonly exit: ExitStatus | undefined;
  readonly hostPid: number | undefined;
}

export interface LogQuery {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  /** Lines from the end; undefined is all. */
  readonly tail: number | undefined;
  /** Instants in nanoseconds since the epoch. */
  readonly sinceNs: bigint | undefined;
  readonly untilNs: bigint | undefined;
}

export interface LogEntry {
  readonly stream: "stdout" | "stderr";
  /** RFC 3339 with nine digits. */
  readonly at: string;
  /** With its newline, unless the line was cut or the stream ended within it. */
  readonly bytes: Uint8Array;
}

export interface FilesRead {
  readonly stat: FileStat;
  readonly archive: AsyncIterable<Uint8Array>;
}

export interface TemplateView {
  readonly kind: BoundaryKind;
  /** What it was made for: shape, kernel, init, engine, processor. */
  readonly key: string;
  readonly directory: string;
}

/** Something that happened. Names in the past tense; adapters translate. */
export interface EngineEvent {
  readonly kind: "workload" | "image" | "network" | "volume" | "daemon";
  /** `created`, `started`, `died`, `stopped`, `killed`, `paused`, `resumed`, `restarted`, `renamed`, `removed`, `attached`, `detached`, `resized`, `out-of-memory`, `exec-created`, `exec-started`, `exec-died`, `health-changed`, `updated`, `files-read`, `files-written`, `template-made`, `template-discarded`, `pulled`, `tagged`, `untagged`, `deleted`, `loaded`, … */
  readonly name: string;
  /** The id of what it happened to. */
  readonly subject: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Nanoseconds since the epoch. */
  readonly atNs: bigint;
}

export type WaitCondition = "not-running" | "next-exit" | "removed";

export interface Engine {
  create(request: WorkloadRequest, call: Call): Promise<{ readonly id: string; readonly warnings: readonly string[] }>;
  /** Rejects UNCHANGED where it runs. */
  start(reference: string, call: Call): Promise<void>;
  /** Signal, wait, SIGKILL, end. Rejects UNCHANGED where it does not run. Timeout in seconds; undefined is the workload's own, then 10; negative waits without end. */
  stop(reference: string, options: { readonly timeoutSeconds?: number; readonly signal?: string }, call: Call): Promise<void>;
  restart(reference: string, options: { readonly timeoutSeconds?: number; readonly signal?: string }, call: Call): Promise<void>;
  kill(reference: string, signal: string, call: Call): Promise<void>;
  pause(reference: string, call: Call): Promise<void>;
  resume(reference: string, call: Call): Promise<void>;
  rename(reference: string, name: string, call: Call): Promise<void>;
  update(
    reference: string,
    change: { readonly limits?: LimitsSpec; readonly restart?: RestartPolicy },
    call: Call,
  ): Promise<{ readonly warnings: readonly string[] }>;
  remove(reference: string, options: { readonly force: boolean; readonly volumes: boolean }, call: Call): Promise<void>;
  /** Registered before it resolves to anything: a caller may begin to wait and then start. */
  wait(reference: string, condition: WaitCondition, call: Call): Promise<{ readonly status: ExitStatus; readonly error?: string }>;
  /** Before start is allowed: it joins what will run, and misses nothing. */
  attach(reference: string, options: AttachOptions, call: Call): Promise<Attachment>;
  resizeTerminal(reference: string, size: TerminalSize, call: Call): Promise<void>;
  /** In order, in batches as they are read. */
  logs(reference: string, query: LogQuery, call: Call): AsyncIterable<readonly LogEntry[]>;
  stats(reference: string, call: Call): Promise<ResourceUse>;
  top(reference: string, call: Call): Promise<{ readonly titles: readonly string[]; readonly rows: readonly (readonly string[])[] }>;

  inspect(reference: string): WorkloadView;
  /** Newest first. */
  list(): readonly WorkloadView[];
  /** Bytes on disk by id: what it wrote, its log, its configuration. Ids that are not known are left out. */
  diskUse(ids: readonly string[], call: Call): Promise<ReadonlyMap<string, number>>;
  prune(keep: (view: WorkloadView) => boolean, call: Call): Promise<{ readonly removed: readonly string[]; readonly freedBytes: number }>;

  /** What lies at a path inside, running or not; a link's target is told as a path from the root without links. NOT_FOUND names the workload where it is the path that is missing. */
  statFile(reference: string, path: string, call: Call): Promise<FileStat>;
  /** What lies there as a tar. One that does not run waits with its next start until the archive is read to its end, `return`ed, or the call is aborted. */
  readFiles(reference: string, path: string, call: Call): Promise<FilesRead>;
  /** Unpacks a tar, plain or compressed by gzip or zstd, into a directory that is there. */
  writeFiles(
    reference: string,
    directory: string,
    given: { readonly archive: AsyncIterable<Uint8Array>; readonly options: WriteFilesOptions },
    call: Call,
  ): Promise<void>;

  createExec(reference: string, request: ExecRequest, call: Call): Promise<{ readonly id: string }>;
  startExec(id: string, options: { readonly terminalSize?: TerminalSize; readonly detach: boolean }, call: Call): Promise<Attachment | undefined>;
  resizeExec(id: string, size: TerminalSize, call: Call): Promise<void>;
  /** `SIGKILL` and the like, to that one process. False where it has ended already; rejects WRONG_STATE where it was never started. */
  signalExec(id: string, signal: string, call: Call): Promise<boolean>;
  inspectExec(id: string): ExecView;

  /** From the moment of the call on; `sinceNs` brings back what is still remembered. */
  events(options: { readonly sinceNs?: bigint }, call: Call): AsyncIterable<EngineEvent>;
  /** Lets other folders (images, networks) tell of themselves. */
  announce(event: Omit<EngineEvent, "atNs">): void;

  /** Cached per boundary for as long as the host does not change; `fresh` asks again. */
  probe(kind: BoundaryKind | undefined, options: { readonly fresh: boolean }, call: Call): Promise<readonly ProbeReport[]>;
  /**
   * The boundary as it would carry this workload now. Rejects UNAVAILABLE with the probe's finding and its remedy where it does not: a floor must not
   * be argued about with what is not there.
   */
  demand(kind: BoundaryKind, request: WorkloadRequest, call: Call): Promise<BoundaryIdentity>;
  readonly defaultIsolation: BoundaryKind;

  /** Whether any are made: the operator may have switched them off. */
  readonly makesTemplates: boolean;
  /** Saved machines that others begin from, made by the engine itself. */
  templates(): readonly TemplateView[];
  /** Removes them; what began from them goes on. Others are made as they are wanted. */
  removeTemplates(): Promise<void>;

  /** Adopts what runs, records what ended meanwhile, removes what a crash half-made. Once, before anything else. */
  recover(call: Call): Promise<void>;
  /** Lets go of everything and ends nothing: workloads outlive the daemon. */
  close(): Promise<void>;
}
