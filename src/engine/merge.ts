/** What really runs: the image's configuration and the caller's request merged, by Docker's rules. */

import { Failure } from "../contract/failure.ts";
import type { ProcessSpec } from "../contract/process.ts";
import type { ImageConfiguration } from "../images/index.ts";
import type { HealthCheck, WorkloadRequest } from "./index.ts";

export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const DEFAULT_HEALTH = { intervalMs: 30_000, timeoutMs: 30_000, startPeriodMs: 0, retries: 3 };

/**
 * An entrypoint of the caller's takes the image's command away; a command of the caller's leaves the image's entrypoint.
 * An entrypoint of one empty word means none.
 */
export function mergeCommand(image: ImageConfiguration, request: WorkloadRequest): readonly string[] {
  const asked = request.entrypoint;
  const entrypoint = asked === undefined ? image.entrypoint : asked.length === 1 && asked[0] === "" ? [] : asked;
  const own = request.command ?? [];
  const keepsImageCommand = own.length === 0 && (asked === undefined || asked.length === 0);
  const command = [...entrypoint, ...(keepsImageCommand ? image.command : own)];
  if (command.length === 0 || command[0] === "")
    throw new Failure("INVALID_SPEC", "no command specified", { remedy: "Name a command after the image: the image has none of its own." });
  return command;
}

/** `NAME=value` sets, later wins and keeps the first one's place; `NAME` alone takes the variable away. */
export function mergeEnvironment(...lists: readonly (readonly string[])[]): readonly string[] {
  const merged = new Map<string, string>();
  for (const entry of lists.flat()) {
    const equals = entry.indexOf("=");
    if (equals < 0) merged.delete(entry);
    else merged.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  return [...merged].map(([name, value]) => `${name}=${value}`);
}

/** The main process. `hostname` stands in its environment as Docker has it. */
export function mergeProcess(image: ImageConfiguration, request: WorkloadRequest, hostname: string): ProcessSpec {
  const given = [`PATH=${DEFAULT_PATH}`, `HOSTNAME=${hostname}`, ...(request.terminal ? ["TERM=xterm"] : [])];
  return {
    command: mergeCommand(image, request),
    environment: mergeEnvironment(given, image.environment, request.environment),
    workingDirectory: request.workingDirectory || image.workingDirectory || "/",
    user: request.user || image.user,
    additionalGroups: request.additionalGroups,
    terminal: request.terminal,
    ...(request.terminalSize === undefined ? {} : { terminalSize: request.terminalSize }),
    stdin: request.stdin,
    stdinOnce: request.stdinOnce,
  };
}

/** The caller's check, else the image's; undefined where there is none or `NONE` switches it off. */
export function mergeHealthCheck(image: ImageConfiguration, request: WorkloadRequest): HealthCheck | undefined {
  const theirs = image.healthCheck;
  const ms = (ns: number | undefined, usual: number) => (ns === undefined || ns === 0 ? usual : ns / 1e6);
  const inherited: HealthCheck | undefined = theirs && {
    test: theirs.test,
    intervalMs: ms(theirs.intervalNs, DEFAULT_HEALTH.intervalMs),
    timeoutMs: ms(theirs.timeoutNs, DEFAULT_HEALTH.timeoutMs),
    startPeriodMs: ms(theirs.startPeriodNs, DEFAULT_HEALTH.startPeriodMs),
    retries: theirs.retries || DEFAULT_HEALTH.retries,
  };
  const own = request.healthCheck;
  const merged: HealthCheck | undefined = own && {
    test: own.test.length > 0 ? own.test : (inherited?.test ?? []),
    intervalMs: own.intervalMs || inherited?.intervalMs || DEFAULT_HEALTH.intervalMs,
    timeoutMs: own.timeoutMs || inherited?.timeoutMs || DEFAULT_HEALTH.timeoutMs,
    startPeriodMs: own.startPeriodMs || inherited?.startPeriodMs || 0,
    retries: own.retries || inherited?.retries || DEFAULT_HEALTH.retries,
  };
  const check = merged ?? inherited;
  return check === undefined || check.test.length === 0 || check.test[0] === "NONE" ? undefined : check;
}
