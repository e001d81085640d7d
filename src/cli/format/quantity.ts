/** Sizes and durations, read and shown as Docker's client does. */

import { UsageError } from "../command.ts";

const BINARY: Readonly<Record<string, number>> = { "": 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4, p: 1024 ** 5 };

/** `64m`, `1.5g`, `64MiB`, `1024`: bytes. */
export function parseBytes(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?$/i.exec(text.trim());
  const factor = BINARY[(match?.[2] ?? "").toLowerCase()];
  if (match === null || factor === undefined) throw new UsageError(`${option} takes a size such as 64m or 1g, not ${JSON.stringify(text)}`);
  return Math.floor(Number(match[1]) * factor);
}

const NANOSECONDS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** Go's durations: `10s`, `1m30s`, `300ms`, `1.5h`, `0`. */
export function parseDurationNs(text: string, option: string): number {
  if (text === "0") return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join("") !== text.replace(/^[+-]/, "")) {
    throw new UsageError(`${option} takes a duration such as 10s or 1m30s, not ${JSON.stringify(text)}`);
  }
  const sum = parts.reduce((total, part) => total + Number(part[1]) * (NANOSECONDS[part[2] ?? ""] ?? 0), 0);
  return text.startsWith("-") ? -sum : sum;
}

/**
 * A moment for `--since` and `--until`: seconds since the epoch (with a fraction), RFC 3339, a date, or a duration back from now.
 * The result is what the API takes: seconds, a point, nine digits.
 */
export function parseMoment(text: string, option: string, nowMs: number): string {
  if (/^\d+(\.\d{1,9})?$/.test(text)) return text;
  if (/^\d{4}-\d\d-\d\d/.test(text)) {
    const fraction = /\.(\d{1,9})/.exec(text)?.[1] ?? "";
    const withTime = text.length === 10 ? `${text}T00:00:00` : text;
    const milliseconds = Date.parse(withTime.replace(/\.\d+/, ""));
    if (Number.isFinite(milliseconds)) return `${Math.floor(milliseconds / 1000)}.${fraction.padEnd(9, "0")}`;
  } else {
    const back = parseDurationNs(text, option);
    return (nowMs / 1000 - back / 1e9).toFixed(9);
  }
  throw new UsageError(`${option} takes a time such as 2026-01-31T12:00:00Z, or a duration such as 10m, not ${JSON.stringify(text)}`);
}

function scaled(value: number, base: number, units: readonly string[], digits: number): string {
  let size = value;
  let unit = 0;
  while (size >= base && unit < units.length - 1) {
    size /= base;
    unit++;
  }
  return `${Number(size.toPrecision(digits))}${units[unit]}`;
}

/** Decimal: `4.26MB`. */
export function showBytes(bytes: number, digits = 3): string {
  return scaled(bytes, 1000, ["B", "kB", "MB", "GB", "TB", "PB"], digits);
}

/** Binary: `1.5MiB`. */
export function showBinaryBytes(bytes: number): string {
  return scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 4);
}

/** `About an hour`, `3 days`: how `ps` tells of time that has passed. */
export function showDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.trunc(seconds / 3600 + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 14) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 60) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(seconds / 3600 / 24 / 365)} years`;
}

/** Who builds reproducibly says no time, or the epoch: that is no time, and has no age. */
const NO_TIME = "N/A";

/** `3 days ago`, of seconds since the epoch. */
export function showAge(seconds: number, nowMs: number): string {
  return seconds <= 0 ? NO_TIME : `${showDuration(nowMs - seconds * 1000)} ago`;
}

/** `2026-01-31T12:00:00Z`, of seconds since the epoch, in the form that is asked for. */
export function showInstant(seconds: number, form: (instant: string) => string): string {
  return seconds <= 0 ? NO_TIME : form(new Date(seconds * 1000).toISOString().replace(".000Z", "Z"));
}
