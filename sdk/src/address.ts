/** Where the daemon listens. */

import { Failure } from "./failure.ts";

export const DEFAULT_SOCKET_PATH = "/run/bulkhead/bulkhead.sock";

/**
 * The socket's path for a host such as `unix:///run/bulkhead/bulkhead.sock` or a plain path. Without one BULKHEAD_HOST
 * decides, then the default. DOCKER_HOST is never read: a command for Bulkhead must not reach another daemon.
 */
export function findSocketPath(host: string | undefined, environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const wanted = host ?? environment["BULKHEAD_HOST"] ?? "";
  if (wanted === "") return DEFAULT_SOCKET_PATH;
  const path = wanted.startsWith("unix://") ? wanted.slice("unix://".length) : wanted;
  if (!path.startsWith("/")) {
    throw new Failure("INVALID_SPEC", `the host ${JSON.stringify(wanted)} is not a unix socket`, {
      remedy: "set BULKHEAD_HOST to unix:///absolute/path, or leave it out",
    });
  }
  return path;
}
