/** Where everything of one daemon lies. Two daemons with different roots share none of it. */

import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { Failure } from "../contract/failure.ts";
import type { Configuration } from "./configuration.ts";

export const DEFAULT_ROOT = "/var/lib/bulkhead";
const DEFAULT_SOCKET = "/run/bulkhead/bulkhead.sock";
/** sun_path holds 108 bytes with its zero; the rest is room for what others append. */
const MAX_SOCKET_BYTES = 100;
/** `/s/` and 32 digits and `.sock`: what a supervisor's socket adds to the run directory. */
const SUPERVISOR_SUFFIX_BYTES = 40;

export interface Places {
  readonly root: string;
  readonly run: string;
  /** The API's. */
  readonly socket: string;
  readonly launcherSocket: string;
  readonly launcherLog: string;
  /** Directory of the supervisors' sockets. */
  readonly sockets: string;
  readonly state: string;
}

export function placesOf(configuration: Configuration): Places {
  const root = configuration.root ?? DEFAULT_ROOT;
  const socket = configuration.socket ?? (root === DEFAULT_ROOT ? DEFAULT_SOCKET : undefined);
  const run = configuration.run ?? (root === DEFAULT_ROOT && socket !== undefined ? dirname(socket) : shortRun(root));
  const places: Places = {
    root,
    run,
    socket: socket ?? `${run}/bulkhead.sock`,
    launcherSocket: `${run}/launcher.sock`,
    launcherLog: `${root}/log/launcher.log`,
    sockets: `${run}/s`,
    state: `${root}/state`,
  };
  if (Buffer.byteLength(places.socket) > MAX_SOCKET_BYTES) throw tooLong("socket", places.socket, MAX_SOCKET_BYTES);
  if (Buffer.byteLength(run) > MAX_SOCKET_BYTES - SUPERVISOR_SUFFIX_BYTES) throw tooLong("run directory", run, MAX_SOCKET_BYTES - SUPERVISOR_SUFFIX_BYTES);
  return places;
}

/** Beside the root, or below /run where that would make a socket's path too long. */
function shortRun(root: string): string {
  const beside = `${root}/run`;
  if (Buffer.byteLength(beside) <= MAX_SOCKET_BYTES - SUPERVISOR_SUFFIX_BYTES) return beside;
  return `/run/bulkhead-${createHash("sha256").update(root).digest("hex").slice(0, 12)}`;
}

function tooLong(what: string, path: string, most: number): Failure {
  return new Failure("INVALID_SPEC", `The ${what} ${path} is ${Buffer.byteLength(path)} bytes long; at most ${most} go into a unix socket's address`, {
    remedy: "Name a shorter path: --socket, or `run` in the configuration",
  });
}
