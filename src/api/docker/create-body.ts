/** From the body of `POST /containers/create` to what the engine understands. Pure: nothing here touches the host. */

import { isIP } from "node:net";
import { Failure, quote } from "../../contract/failure.ts";
import type { TerminalSize } from "../../contract/process.ts";
import type { HealthCheck, RestartPolicy, WorkloadRequest } from "../../engine/index.ts";
import type { CreateBody, HostConfigBody } from "./create-shape.ts";
import { compact, type Echo } from "./echo.ts";
import { AUTO, chooseIsolation } from "./isolation.ts";
import { readFirstLimits, readRlimits } from "./limits-body.ts";
import { readMounts } from "./mounts-body.ts";
import { readNetwork } from "./network-body.ts";
import { readPorts } from "./ports-body.ts";
import { present } from "./present.ts";
import { readSecurity } from "./security-body.ts";
import { readSize } from "./sizes.ts";
import { refuseWhatCannotBe } from "./unsupported.ts";

export interface CreateOptions {
  readonly name?: string;
  readonly platform?: string;
}

export interface CreateReading {
  readonly request: WorkloadRequest;
  /** What was asked for and is not carried out, for the client to print. */
  readonly warnings: readonly string[];
  /** The boundary is to be chosen by advice. */
  readonly auto: boolean;
}

/** Rejects INVALID_SPEC or UNSUPPORTED naming the option. Every option is carried out, refused, or warned about. */
export function readCreateBody(body: CreateBody, options: CreateOptions): CreateReading {
  const host: HostConfigBody = body.HostConfig ?? {};
  if (!body.Image) throw new Failure("INVALID_SPEC", "no image was named: Config.Image is empty");
  const warnings = refuseWhatCannotBe(body, host);
  const chosen = chooseIsolation(host.Runtime ?? undefined, host.Isolation ?? undefined);
  const isolation = chosen === AUTO ? undefined : chosen;
  const echo: Echo = { docker: compact(body) };
  const request: WorkloadRequest = {
    image: body.Image,
    ...present({ name: options.name, platform: options.platform, isolation }),
    ...present({ entrypoint: readWords(body.Entrypoint), command: readWords(body.Cmd) }),
    // A name without a value takes the image's variable away.
    environment: body.Env ?? [],
    ...present({ workingDirectory: body.WorkingDir || undefined, user: body.User || undefined }),
    additionalGroups: host.GroupAdd ?? [],
    ...present({ hostname: body.Hostname || undefined, domainName: body.Domainname || undefined }),
    labels: body.Labels ?? {},
    terminal: body.Tty ?? false,
    ...present({ terminalSize: readConsoleSize(host.ConsoleSize) }),
    stdin: body.OpenStdin ?? false,
    stdinOnce: body.StdinOnce ?? false,
    mounts: readMounts(body, host),
    ...readNetwork(body, host),
    ...readPorts(body, host),
    ...readNames(host),
    extraHosts: host.ExtraHosts ?? [],
    limits: readFirstLimits(host),
    rlimits: readRlimits(host),
    sysctls: host.Sysctls ?? {},
    ...present({ shmBytes: readShmSize(host) }),
    security: readSecurity(host),
    init: host.Init ?? false,
    ...present({ cold: host.Cold ?? undefined }),
    restart: readRestart(host),
    autoRemove: host.AutoRemove ?? false,
    ...present({ stopSignal: body.StopSignal || undefined, stopTimeoutSeconds: body.StopTimeout ?? undefined }),
    log: readLog(host, warnings),
    ...present({ healthCheck: readHealthCheck(body, warnings) }),
    adapter: echo,
  };
  return { request, warnings, auto: chosen === AUTO };
}

/** An empty list is "not said"; `[""]` resets the image's, which Docker takes for no entry point at all. */
function readWords(given: readonly string[] | string | null | undefined): readonly string[] | undefined {
  if (given === undefined || given === null) return undefined;
  if (typeof given === "string") return given === "" ? undefined : [given];
  if (given.length === 0) return undefined;
  return given.length === 1 && given[0] === "" ? [] : given;
}

/** Lines of resolv.conf: each is one word, and servers are addresses. */
function readNames(host: HostConfigBody): Pick<WorkloadRequest, "dns" | "dnsSearch" | "dnsOptions"> {
  for (const server of host.Dns ?? [])
    if (isIP(server) === 0)
      throw new Failure("INVALID_SPEC", `invalid DNS server ${quote(server)}: an IP address is wanted`, { remedy: "Write it as --dns 9.9.9.9." });
  for (const word of [...(host.DnsSearch ?? []), ...(host.DnsOptions ?? [])])
    if (!/^\S{1,253}$/.test(word)) throw new Failure("INVALID_SPEC", `invalid DNS option or search domain ${quote(word)}`, { remedy: "Write one word." });
  return { dns: host.Dns ?? [], dnsSearch: host.DnsSearch ?? [], dnsOptions: host.DnsOptions ?? [] };
}

function readShmSize({ ShmSize }: HostConfigBody): number | undefined {
  if ((ShmSize ?? 0) < 0) throw new Failure("INVALID_SPEC", "SHM size can not be less than 0", { remedy: "Leave it out for 64 MiB." });
  return ShmSize || undefined;
}

/** Rows and columns; zeros are a client without a terminal. */
export function readConsoleSize(size: readonly number[] | null | undefined): TerminalSize | undefined {
  const [rows, columns] = size ?? [];
  return rows === undefined || columns === undefined || rows === 0 || columns === 0 ? undefined : { rows, columns };
}

export function readRestart(host: Pick<HostConfigBody, "RestartPolicy" | "AutoRemove">): RestartPolicy {
  const name = host.RestartPolicy?.Name || "no";
  const maximumRetries = host.RestartPolicy?.MaximumRetryCount ?? 0;
  if (name !== "no" && name !== "always" && name !== "unless-stopped" && name !== "on-failure") {
    throw new Failure("INVALID_SPEC", `invalid restart policy: unknown policy ${quote(name)}; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`);
  }
  if (maximumRetries < 0) throw new Failure("INVALID_SPEC", "invalid restart policy: maximum retry count cannot be negative");
  if (maximumRetries > 0 && name !== "on-failure") {
    throw new Failure("INVALID_SPEC", "invalid restart policy: maximum retry count can only be used with 'on-failure'");
  }
  if (host.AutoRemove === true && name !== "no") throw new Failure("INVALID_SPEC", "can't create 'AutoRemove' container with restart policy");
  return { name, maximumRetries };
}

const NANOSECONDS = 1_000_000;

function readHealthCheck(body: CreateBody, warnings: string[]): HealthCheck | undefined {
  const given = body.Healthcheck;
  if (!given?.Test || given.Test.length === 0) return undefined;
  if (given.StartInterval) warnings.push("Healthcheck.StartInterval is not carried out.");
  const milliseconds = (value: number | null | undefined, whenAbsent: number, name: string) => {
    if (value === undefined || value === null || value === 0) return whenAbsent;
    if (value < NANOSECONDS) throw new Failure("INVALID_SPEC", `${name} in Healthcheck cannot be less than 1ms`);
    return value / NANOSECONDS;
  };
  if ((given.Retries ?? 0) < 0) throw new Failure("INVALID_SPEC", "Retries in Healthcheck cannot be negative");
  return {
    test: given.Test,
    intervalMs: milliseconds(given.Interval, 30_000, "Interval"),
    timeoutMs: milliseconds(given.Timeout, 30_000, "Timeout"),
    startPeriodMs: milliseconds(given.StartPeriod, 0, "StartPeriod"),
    retries: given.Retries || 3,
  };
}

function readLog(host: HostConfigBody, warnings: string[]): WorkloadRequest["log"] {
  const type = host.LogConfig?.Type || "json-file";
  if (type !== "json-file" && type !== "none") {
    throw new Failure("INVALID_SPEC", `logger: no log driver named ${quote(type)} is registered`, { remedy: "Use --log-driver json-file or none." });
  }
  const log: { driver: "json-file" | "none"; maxBytes?: number; maxFiles?: number } = { driver: type };
  for (const [name, value] of Object.entries(host.LogConfig?.Config ?? {})) {
    if (name === "max-size") log.maxBytes = readLogSize(value);
    else if (name === "max-file" && /^[1-9]\d{0,3}$/.test(value)) log.maxFiles = Number(value);
    else if (name === "max-file") throw new Failure("INVALID_SPEC", `invalid log-opt max-file: ${quote(value)}`, { remedy: "Use 1 to 9999." });
    else if (TUNING_LOG_OPTIONS.has(name)) warnings.push(`Log option ${quote(name)} is not carried out.`);
    else throw new Failure("INVALID_SPEC", `unknown log opt ${quote(name)} for ${type} log driver`, { remedy: "Use max-size and max-file." });
  }
  return log;
}

/** Docker's, which add to the lines or pack old ones. */
const TUNING_LOG_OPTIONS = new Set(["compress", "labels", "labels-regex", "env", "env-regex", "tag", "mode", "max-buffer-size"]);

/** Docker counts these in thousands. */
function readLogSize(value: string): number {
  const bytes = readSize(value, "log-opt max-size", 1000);
  if (bytes <= 0) throw new Failure("INVALID_SPEC", "max-size must be a positive number", { remedy: "Write it as --log-opt max-size=10m." });
  return bytes;
}
