/** Room below the root, in bytes and in inodes. */

import { statfs } from "node:fs/promises";
import type { Finding } from "../../contract/driver.ts";

const GIB = 1024 ** 3;
const LEAST_BYTES = GIB / 2;
const WANTED_BYTES = 5 * GIB;
const WANTED_INODES = 50_000;

export interface DiskRoom {
  readonly freeBytes: number;
  /** Undefined where the filesystem makes inodes as it needs them (btrfs). */
  readonly freeInodes: number | undefined;
}

export async function judgeDisk(root: string): Promise<Finding[]> {
  try {
    const { bavail, bsize, files, ffree } = await statfs(root);
    return judgeRoom(root, { freeBytes: bavail * bsize, freeInodes: files === 0 ? undefined : ffree });
  } catch (cause) {
    return [
      {
        id: "disk-space",
        level: "missing",
        what: `The root ${root} cannot be looked at: ${cause instanceof Error ? cause.message : String(cause)}`,
        remedy: "Name a root that exists with --root",
      },
    ];
  }
}

export function judgeRoom(root: string, room: DiskRoom): Finding[] {
  const remedy = "Remove images that nothing uses (bulkhead rmi), or put the root on a larger disk with --root";
  const bytes = `${(room.freeBytes / GIB).toFixed(1)} GiB free below ${root}`;
  const level = room.freeBytes < LEAST_BYTES ? "missing" : room.freeBytes < WANTED_BYTES ? "warning" : "ok";
  const findings: Finding[] = [{ id: "disk-space", level, what: bytes, ...(level === "ok" ? {} : { remedy }) }];
  if (room.freeInodes !== undefined && room.freeInodes < WANTED_INODES) {
    findings.push({
      id: "disk-inodes",
      level: "warning",
      what: `Only ${room.freeInodes} inodes are free below ${root}: unpacking an image needs one per file`,
      remedy,
    });
  }
  return findings;
}
