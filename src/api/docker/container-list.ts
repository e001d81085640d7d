/** `GET /containers/json`, and the filters that prune shares with it. */

import type { Call } from "../../contract/call.ts";
import { Failure, quote } from "../../contract/failure.ts";
import type { WorkloadView } from "../../engine/index.ts";
import type { Route } from "../router.ts";
import { boundaryJson, exposedPorts, imageOf, mountJson, sizeJson } from "./container-inspect.ts";
import { endpoints, portList } from "./container-network.ts";
import { isStanding, statusText } from "./container-state.ts";
import { Filters, matchesName } from "./filters.ts";
import type { DockerParts } from "./parts.ts";

const FILTERS = [
  "id",
  "name",
  "label",
  "label!",
  "status",
  "exited",
  "ancestor",
  "before",
  "since",
  "volume",
  "network",
  "publish",
  "expose",
  "health",
  "isolation",
  "is-task",
];
const STATUSES = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];

export function listRoutes(parts: DockerParts): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/containers/json",
      async handle(exchange) {
        const { query } = exchange;
        const limit = query.integer("limit") ?? 0;
        const filters = new Filters(query.text("filters"), FILTERS);
        // Asking for a state, or for the last so many, is asking for stopped ones as well.
        const all = query.flag("all") || limit > 0 || filters.has("status") || filters.has("exited");
        const chosen = selectContainers(parts, filters).filter((view) => all || isStanding(view));
        const cut = limit > 0 ? chosen.slice(0, limit) : chosen;
        const sizes = query.flag("size") ? await diskUseOf(parts, cut, exchange.call) : undefined;
        exchange.json(
          200,
          cut.map((view) => summaryJson(parts, view, sizes)),
        );
      },
    },
  ];
}

export function diskUseOf(parts: DockerParts, views: readonly WorkloadView[], call: Call): Promise<ReadonlyMap<string, number>> {
  return parts.engine.diskUse(
    views.map(({ id }) => id),
    call,
  );
}

/** Sizes are left out where they were not asked for: finding them out walks every file. */
export function summaryJson(parts: DockerParts, view: WorkloadView, sizes: ReadonlyMap<string, number> | undefined): object {
  const image = imageOf(parts, view);
  return {
    Id: view.id,
    Names: [`/${view.name}`],
    Image: view.request.image,
    ImageID: view.imageId,
    Command: view.process.command.map((word) => (/\s/.test(word) ? `'${word}'` : word)).join(" "),
    Created: Math.floor(Date.parse(view.createdAt) / 1000),
    Ports: portList(view, exposedPorts(view, image)),
    ...sizeJson(sizes?.get(view.id), image?.sizeBytes),
    Labels: view.labels,
    State: view.state,
    Status: statusText(view, parts.now()),
    HostConfig: { NetworkMode: view.networkName },
    NetworkSettings: { Networks: endpoints(view, parts.networks) },
    Mounts: view.mounts.map(mountJson),
    Boundary: boundaryJson(view),
  };
}

/** Newest first. Rejects INVALID_SPEC for a value that a filter cannot have, NOT_FOUND for a `before` or `since` that is nobody. */
export function selectContainers(parts: DockerParts, filters: Filters): readonly WorkloadView[] {
  for (const status of filters.values("status")) {
    if (!STATUSES.includes(status)) throw new Failure("INVALID_SPEC", `invalid filter 'status=${status}'`);
  }
  for (const code of filters.values("exited")) {
    if (!/^\d{1,3}$/.test(code)) throw new Failure("INVALID_SPEC", `invalid filter: ${quote(code)} is no exit code`);
  }
  const instant = (name: string) => filters.values(name).map((reference) => parts.engine.inspect(reference).createdAt);
  const before = instant("before");
  const since = instant("since");
  return parts.engine.list().filter((view) => {
    if (before.some((at) => view.createdAt >= at) || since.some((at) => view.createdAt <= at)) return false;
    return matchesIdentity(view, filters) && matchesState(view, filters) && matchesPlace(parts, view, filters);
  });
}

function matchesIdentity(view: WorkloadView, filters: Filters): boolean {
  return (
    filters.any("id", (id) => view.id.startsWith(id)) &&
    // Docker compares with and without the slash that it puts before names.
    filters.any("name", (name) => matchesName(name, view.name) || matchesName(name, `/${view.name}`)) &&
    filters.labels(view.labels)
  );
}

function matchesState(view: WorkloadView, filters: Filters): boolean {
  const ended = view.state === "exited" || view.state === "dead";
  return (
    filters.any("status", (status) => status === view.state) &&
    filters.any("exited", (code) => ended && view.exit?.code === Number(code)) &&
    filters.any("health", (health) => health === view.health) &&
    filters.any("isolation", (isolation) => isolation === view.boundary.kind) &&
    filters.any("is-task", (value) => value === "false")
  );
}

function matchesPlace(parts: DockerParts, view: WorkloadView, filters: Filters): boolean {
  const image = imageOf(parts, view);
  const port = (value: string) => (value.includes("/") ? value : `${value}/tcp`);
  const bound = view.network?.kind === "bridge" ? view.network.ports : [];
  return (
    filters.any("ancestor", (name) => isAncestor(view, name, image?.tags ?? [])) &&
    filters.any("volume", (value) => view.mounts.some((mount) => mount.volume === value || mount.target === value || mount.source === value)) &&
    filters.any("network", (value) => value === view.networkName || parts.networks.list().some(({ id, name }) => id === value && name === view.networkName)) &&
    filters.any("publish", (value) => bound.some(({ workloadPort, protocol }) => `${workloadPort}/${protocol}` === port(value))) &&
    filters.any("expose", (value) => exposedPorts(view, image).includes(port(value)))
  );
}

function isAncestor(view: WorkloadView, name: string, tags: readonly string[]): boolean {
  if (view.request.image === name || view.imageId === name) return true;
  if (/^[0-9a-f]{4,64}$/.test(name) && view.imageId.startsWith(`sha256:${name}`)) return true;
  return tags.includes(name) || tags.includes(`${name}:latest`);
}
