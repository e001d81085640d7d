/** `/volumes`. */

import { Type, type TSchema } from "@sinclair/typebox";
import { Failure, quote, toFailure } from "../../contract/failure.ts";
import type { VolumeView } from "../../volumes/index.ts";
import { readJson, shape } from "../body.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../router.ts";
import { Filters, matchesName } from "./filters.ts";
import { announce, type DockerParts } from "./parts.ts";
import { present } from "./present.ts";

const opt = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));
const strings = Type.Record(Type.String(), Type.String());
const createShape = shape(Type.Object({ Name: opt(Type.String()), Driver: opt(Type.String()), DriverOpts: opt(strings), Labels: opt(strings) }));

export function volumeRoutes(parts: DockerParts): readonly Route[] {
  return [
    { method: "GET", path: "/volumes", handle: (exchange) => list(parts, exchange) },
    { method: "POST", path: "/volumes/create", outlivesClient: true, handle: (exchange) => create(parts, exchange) },
    { method: "GET", path: "/volumes/{name}", handle: (exchange) => exchange.json(200, volumeJson(parts.volumes.get(exchange.parameter("name")))) },
    {
      method: "DELETE",
      path: "/volumes/{name}",
      outlivesClient: true,
      async handle(exchange) {
        const name = exchange.parameter("name");
        try {
          await parts.volumes.remove(name, exchange.call);
          announce(parts, "volume", "removed", name);
        } catch (thrown) {
          // Forced: a volume that is not there is what was wanted.
          if (!exchange.query.flag("force") || toFailure(thrown).code !== "NOT_FOUND") throw thrown;
        }
        exchange.empty(204);
      },
    },
    { method: "POST", path: "/volumes/prune", outlivesClient: true, handle: (exchange) => prune(parts, exchange) },
  ];
}

function list(parts: DockerParts, exchange: Exchange): void {
  const filters = new Filters(exchange.query.text("filters"), ["dangling", "driver", "label", "label!", "name"]);
  const dangling = filters.flag("dangling");
  const used = usedVolumes(parts);
  const chosen = parts.volumes
    .list()
    .filter(
      (volume) =>
        (dangling === undefined || dangling !== used.has(volume.name)) &&
        filters.any("driver", (driver) => driver === "local") &&
        filters.any("name", (name) => matchesName(name, volume.name)) &&
        filters.labels(volume.labels),
    );
  exchange.json(200, { Volumes: chosen.map(volumeJson), Warnings: null });
}

async function create(parts: DockerParts, exchange: Exchange): Promise<void> {
  const body = await readJson(exchange, createShape);
  if (body.Driver && body.Driver !== "local") {
    throw new Failure("UNSUPPORTED", `volume driver ${quote(body.Driver)} is not available`, { remedy: "Use the driver local." });
  }
  if (Object.keys(body.DriverOpts ?? {}).length > 0) {
    throw new Failure("UNSUPPORTED", "options for the volume driver are not carried out", { remedy: "Mount the remote directory on the host and bind it." });
  }
  const volume = await parts.volumes.create(present({ name: body.Name || undefined, labels: body.Labels ?? undefined }), exchange.call);
  announce(parts, "volume", "created", volume.name);
  exchange.json(201, volumeJson(volume));
}

/** As Docker since API 1.42: anonymous ones only, unless `all` is asked for. */
async function prune(parts: DockerParts, exchange: Exchange): Promise<void> {
  const filters = new Filters(exchange.query.text("filters"), ["all", "label", "label!"]);
  const all = filters.flag("all") ?? exchange.apiVersion < 142;
  const used = usedVolumes(parts);
  const deleted: string[] = [];
  let freedBytes = 0;
  for (const volume of parts.volumes.list()) {
    if (used.has(volume.name) || (!all && !volume.anonymous) || !filters.labels(volume.labels)) continue;
    const [bytes = 0]: readonly number[] = await parts.volumes.diskUse([volume.name], exchange.call);
    try {
      await parts.volumes.remove(volume.name, exchange.call);
    } catch (thrown) {
      // Taken meanwhile: it is in use, and stays.
      if (toFailure(thrown).code === "WRONG_STATE") continue;
      throw thrown;
    }
    announce(parts, "volume", "removed", volume.name);
    deleted.push(volume.name);
    freedBytes += bytes;
  }
  exchange.json(200, { VolumesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: freedBytes });
}

function usedVolumes(parts: DockerParts): ReadonlySet<string> {
  return new Set(parts.engine.list().flatMap((view) => view.mounts.flatMap((mount) => (mount.volume === undefined ? [] : [mount.volume]))));
}

export function volumeJson(volume: VolumeView): object {
  return {
    Name: volume.name,
    Driver: "local",
    Mountpoint: volume.directory,
    CreatedAt: volume.createdAt,
    Labels: volume.labels,
    Scope: "local",
    Options: null,
  };
}
