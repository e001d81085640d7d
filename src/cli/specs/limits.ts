/** `--ulimit`, `--device`, `--restart`, `--health-*`, `--cpus`: small forms with a meaning. */

import type { HealthDocument, HostConfig } from "../../../sdk/src/index.ts";
import { UsageError } from "../command.ts";
import type { Flags } from "../flags.ts";
import { parseDurationNs } from "../format/quantity.ts";

/** `nofile=1024:2048`, `nofile=1024`, `core=unlimited`. */
export function parseUlimit(text: string): { Name: string; Soft: number; Hard: number } {
  const match = /^([a-z]+)=(-?\d+|unlimited)(?::(-?\d+|unlimited))?$/.exec(text);
  if (match === null) throw new UsageError(`cannot read the limit ${JSON.stringify(text)}`, "write NAME=SOFT[:HARD], as in --ulimit nofile=1024:2048");
  const number = (value: string): number => (value === "unlimited" ? -1 : Number(value));
  const soft = number(match[2] ?? "");
  const hard = match[3] === undefined ? soft : number(match[3]);
  if (hard !== -1 && (soft === -1 || soft > hard)) throw new UsageError(`the limit ${JSON.stringify(text)} has a soft part above its hard one`);
  return { Name: match[1] ?? "", Soft: soft, Hard: hard };
}

/** `/dev/fuse`, `/dev/sda:/dev/xvda`, `/dev/sda:/dev/xvda:r`. */
export function parseDevice(text: string): { PathOnHost: string; PathInContainer: string; CgroupPermissions: string } {
  const parts = text.split(":");
  const [host = "", second, third] = parts;
  const access = /^[rwm]+$/;
  const inside = second === undefined || access.test(second) ? host : second;
  const permissions = third ?? (second !== undefined && access.test(second) ? second : "rwm");
  if (parts.length > 3 || !host.startsWith("/") || !inside.startsWith("/") || !access.test(permissions)) {
    throw new UsageError(`cannot read the device ${JSON.stringify(text)}`, "write HOST-PATH[:PATH][:rwm], as in --device /dev/fuse");
  }
  return { PathOnHost: host, PathInContainer: inside, CgroupPermissions: permissions };
}

/** `no`, `always`, `unless-stopped`, `on-failure[:times]`. */
export function parseRestart(text: string): { Name: string; MaximumRetryCount: number } {
  const match = /^(no|always|unless-stopped|on-failure)(?::(\d+))?$/.exec(text);
  if (match === null || (match[2] !== undefined && match[1] !== "on-failure")) {
    throw new UsageError(`there is no restart policy ${JSON.stringify(text)}`, "use no, always, unless-stopped or on-failure[:TIMES]");
  }
  return { Name: match[1] ?? "no", MaximumRetryCount: Number(match[2] ?? 0) };
}

/** `0.5` processors as the API counts them. */
export function parseCpus(text: string): number {
  const cpus = Number(text);
  if (text.trim() === "" || !(cpus >= 0) || !Number.isFinite(cpus)) throw new UsageError(`--cpus takes a number such as 0.5, not ${JSON.stringify(text)}`);
  return Math.round(cpus * 1e9);
}

export function parseHealth(flags: Flags): HealthDocument | undefined {
  if (flags.on("no-healthcheck")) {
    if (flags.given("health-cmd")) throw new UsageError("--no-healthcheck and --health-cmd cannot both be given");
    return { Test: ["NONE"] };
  }
  const command = flags.text("health-cmd");
  const names = ["health-interval", "health-timeout", "health-start-period", "health-retries"];
  if (command === undefined && !names.some((name) => flags.given(name))) return undefined;
  const duration = (name: string): number => (flags.given(name) ? parseDurationNs(flags.text(name) ?? "", `--${name}`) : 0);
  return {
    Test: command === undefined ? [] : ["CMD-SHELL", command],
    Interval: duration("health-interval"),
    Timeout: duration("health-timeout"),
    StartPeriod: duration("health-start-period"),
    Retries: flags.number("health-retries") ?? 0,
  };
}

/** `--log-driver` and `--log-opt`; undefined leaves it to the daemon. */
export function parseLog(driver: string | undefined, options: Readonly<Record<string, string>>): HostConfig["LogConfig"] | undefined {
  if (driver === undefined && Object.keys(options).length === 0) return undefined;
  return { Type: driver ?? "", Config: options };
}
