/** Who may connect to the API: root, and one group where it exists. */

import { chmodSync, chownSync, readFileSync } from "node:fs";
import { Failure } from "../contract/failure.ts";

export const DEFAULT_GROUP = "bulkhead";

/** Gives a listening socket its mode and group. Rejects NOT_FOUND where a group was named and there is none. */
export function openSocketToGroup(path: string, group: string | undefined): void {
  const gid = findGroup(group ?? DEFAULT_GROUP);
  if (gid === undefined && group !== undefined) {
    throw new Failure("NOT_FOUND", `There is no group ${group}, which the configuration gives the socket to`, { remedy: `groupadd --system ${group}` });
  }
  if (gid !== undefined) chownSync(path, 0, gid);
  chmodSync(path, 0o660);
}

/** Local groups only: a directory service that hangs must not hold up the daemon. */
export function findGroup(name: string, file = "/etc/group"): number | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  for (const line of text.split("\n")) {
    const [entry, , gid] = line.split(":");
    if (entry === name && gid !== undefined && /^\d+$/.test(gid)) return Number(gid);
  }
  return undefined;
}
