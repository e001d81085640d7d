/** Docker's Engine API: every resource's routes, side by side. A new resource is a file and a line here. */

import type { Route } from "../router.ts";
import { absentRoutes } from "./absent.ts";
import { authRoutes } from "./auth.ts";
import { archiveRoutes } from "./container-archive.ts";
import { attachRoutes } from "./container-attach.ts";
import { createRoutes } from "./container-create.ts";
import { inspectRoutes } from "./container-inspect.ts";
import { lifecycleRoutes } from "./container-lifecycle.ts";
import { listRoutes } from "./container-list.ts";
import { logRoutes } from "./container-logs.ts";
import { statsRoutes } from "./container-stats.ts";
import { waitRoutes } from "./container-wait.ts";
import { eventRoutes } from "./events.ts";
import { execRoutes } from "./exec.ts";
import { imageTransferRoutes } from "./image-transfer.ts";
import { imageRoutes } from "./images.ts";
import { networkRoutes } from "./networks.ts";
import type { DockerParts } from "./parts.ts";
import { systemRoutes } from "./system.ts";
import { volumeRoutes } from "./volumes.ts";

export function dockerRoutes(parts: DockerParts): readonly Route[] {
  const resources = [
    systemRoutes,
    authRoutes,
    eventRoutes,
    createRoutes,
    listRoutes,
    inspectRoutes,
    lifecycleRoutes,
    waitRoutes,
    attachRoutes,
    logRoutes,
    statsRoutes,
    execRoutes,
    archiveRoutes,
    imageRoutes,
    imageTransferRoutes,
    networkRoutes,
    volumeRoutes,
  ];
  return [...resources.flatMap((resource) => resource(parts)), ...absentRoutes()];
}
