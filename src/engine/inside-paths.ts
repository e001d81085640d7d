/** Paths inside a workload that a caller names: what no kernel takes, and what would put something over the boundary's own. */

import { isAbsolute, normalize } from "node:path";
import { Failure, quote } from "../contract/failure.ts";

/** PATH_MAX and NAME_MAX, less the end's zero byte. */
const MOST_PATH_BYTES = 4095;
const MOST_NAME_BYTES = 255;

/** Single files below /proc that runc lets others be bound over. */
const PROC_FILES = new Set(
  ["cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo", "net/dev", "sys/kernel/ns_last_pid", "sys/crypto/fips_enabled"].map(
    (name) => `/proc/${name}`,
  ),
);

export function checkInsidePath(path: string, what: string): void {
  if (path.includes("\0")) refuse(`${what} holds a zero byte: ${quote(path)}`, "Paths end at a zero byte: take it out.");
  if (Buffer.byteLength(path) > MOST_PATH_BYTES) refuse(`${what} is longer than ${MOST_PATH_BYTES} bytes: ${quote(path)}`, "Linux has no longer paths.");
  if (path.split("/").some((name) => Buffer.byteLength(name) > MOST_NAME_BYTES))
    refuse(`${what} has a name longer than ${MOST_NAME_BYTES} bytes: ${quote(path)}`, "Linux has no longer names.");
}

/** Where files are copied from or to: from the root, without `..`; a slash or `/.` at the end stays, because it says "what lies in it". */
export function cleanInsidePath(path: string): string {
  if (path === "") refuse("the path is empty", "Name a path inside.");
  checkInsidePath(path, "the path");
  const clean = normalize(`/${path}`).replace(/\/+$/, "");
  if (path === "." || path.endsWith("/.")) return `${clean}/.`;
  return path.endsWith("/") || clean === "" ? `${clean}/` : clean;
}

/** Where something may be mounted; the path as it is without `.` and `..`. */
export function checkTarget(target: string): string {
  checkInsidePath(target, "the mount path");
  if (!isAbsolute(target)) refuse(`invalid mount path: ${quote(target)} mount path must be absolute`, "Begin it with a slash.");
  const clean = normalize(target).replace(/(.)\/+$/, "$1");
  if (clean === "/") refuse("invalid mount path: the root itself cannot be mounted over", "Mount below it.");
  if (clean === "/dev")
    refuse(`nothing can be mounted over ${quote(clean)}: the boundary's own devices lie there`, "Give single devices with --device, or mount below it.");
  if ((clean === "/proc" || clean.startsWith("/proc/")) && !PROC_FILES.has(clean))
    refuse(`${quote(clean)} cannot be mounted because it is inside /proc`, "Mount elsewhere: what lies in /proc is the kernel's word to the workload.");
  return clean;
}

function refuse(what: string, remedy: string): never {
  throw new Failure("INVALID_SPEC", what, { remedy });
}
