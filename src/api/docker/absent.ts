/** Endpoints of Docker's API that are not there yet, or never will be: each says so, and what to do instead. */

import { Failure } from "../../contract/failure.ts";
import type { Method, Route } from "../router.ts";

const ABSENT: readonly (readonly [Method, string, string, string])[] = [
  ["POST", "/build", "building images is not carried out", "Build with buildah or buildctl, then load the image."],
  ["POST", "/session", "building images is not carried out", "Build with buildah or buildctl, then load the image."],
  ["POST", "/grpc", "building images is not carried out", "Build with buildah or buildctl, then load the image."],
  ["POST", "/build/prune", "building images is not carried out", "There is no build cache to prune."],
  ["POST", "/commit", "making an image of a container is not carried out", "Build the image from a Dockerfile with buildah or buildctl, then load it."],
  ["GET", "/images/search", "searching registries is not carried out", "Search on the registry's own page, then pull by name."],
  ["GET", "/containers/{id}/attach/ws", "attaching over a WebSocket is not carried out", "Attach with POST and Connection: Upgrade."],
  ["GET", "/containers/{id}/changes", "listing a container's changed files is not carried out", "Compare inside, with exec."],
  [
    "GET",
    "/containers/{id}/export",
    "exporting a container's files is not carried out",
    "Copy them out: docker cp ID:/ - > FILE, or the directories that are wanted.",
  ],
  ["POST", "/networks/create", "making networks is not carried out", "Use the networks bridge, host and none."],
  ["POST", "/networks/{id}/connect", "joining further networks is not carried out", "Name the network when the container is created."],
  ["POST", "/networks/{id}/disconnect", "leaving a network is not carried out", "Remove the container."],
];

/** What a swarm would manage. Docker answers 503 where a node is not in one, and clients know that answer. */
const SWARM = ["/swarm", "/nodes", "/services", "/tasks", "/secrets", "/configs"];

export function absentRoutes(): readonly Route[] {
  return [
    ...ABSENT.map(
      ([method, path, what, remedy]): Route => ({
        method,
        path,
        handle() {
          throw new Failure("UNSUPPORTED", what, { remedy });
        },
      }),
    ),
    ...SWARM.map(
      (path): Route => ({
        method: "GET",
        path,
        handle() {
          throw new Failure("UNAVAILABLE", "This node is not a swarm manager.", { remedy: "Bulkhead runs on one host: leave swarm commands out." });
        },
      }),
    ),
    { method: "GET", path: "/plugins", handle: (exchange) => exchange.json(200, []) },
    // Removing every unused network of a daemon that makes none: nothing.
    { method: "POST", path: "/networks/prune", handle: (exchange) => exchange.json(200, { NetworksDeleted: null }) },
  ];
}
