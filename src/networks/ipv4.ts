/** IPv4 addresses and ranges as numbers. */

import { Failure, quote } from "../contract/failure.ts";

/** A range of addresses: its first one, and how many of 32 bits are fixed. */
export interface Range {
  readonly base: number;
  readonly prefixLength: number;
}

export function findAddress(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** `172.20.0.0/16`; bits beyond the prefix are cut off. Throws INVALID_SPEC. */
export function parseRange(text: string): Range {
  const [address = "", length = ""] = text.split("/");
  const base = findAddress(address);
  const prefixLength = /^\d{1,2}$/.test(length) ? Number(length) : 33;
  if (base === undefined || prefixLength > 32) throw new Failure("INVALID_SPEC", `${quote(text)} is not a range of IPv4 addresses such as 172.20.0.0/16`);
  return { base: base - (base % sizeOf(prefixLength)), prefixLength };
}

export function formatRange({ base, prefixLength }: Range): string {
  return `${formatAddress(base)}/${prefixLength}`;
}

export function sizeOf(prefixLength: number): number {
  return 2 ** (32 - prefixLength);
}

export function overlaps(one: Range, other: Range): boolean {
  return one.base < other.base + sizeOf(other.prefixLength) && other.base < one.base + sizeOf(one.prefixLength);
}

/** Locally administered, and the same for the same address: so a restarted workload is no stranger to its neighbours. */
export function macOf(address: number): string {
  const octets = formatAddress(address)
    .split(".")
    .map((part) => Number(part).toString(16).padStart(2, "0"));
  return ["02", "42", ...octets].join(":");
}
