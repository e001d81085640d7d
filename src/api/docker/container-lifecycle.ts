/** The single deeds on a container. They are carried to their end also when the client leaves. */

import { Type } from "@sinclair/typebox";
import { Failure } from "../../contract/failure.ts";
import { readJson, shape } from "../body.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../router.ts";
import { readName } from "./container-create.ts";
import { selectContainers } from "./container-list.ts";
import { readRestart } from "./create-body.ts";
import { updateFields } from "./create-shape.ts";
import { compact } from "./echo.ts";
import { Filters } from "./filters.ts";
import { readLimits } from "./limits-body.ts";
import type { DockerParts } from "./parts.ts";
import { present } from "./present.ts";
import { readSignal } from "./signal-names.ts";

const updateShape = shape(Type.Object(updateFields));

export function lifecycleRoutes(parts: DockerParts): readonly Route[] {
  const { engine } = parts;
  const deed = (path: string, act: (id: string, exchange: Exchange) => Promise<void>): Route => ({
    method: "POST",
    path,
    outlivesClient: true,
    async handle(exchange) {
      await act(exchange.parameter("id"), exchange);
      exchange.empty(204);
    },
  });
  return [
    deed("/containers/{id}/start", (id, { call }) => engine.start(id, call)),
    deed("/containers/{id}/stop", (id, exchange) => engine.stop(id, stopOptions(exchange), exchange.call)),
    deed("/containers/{id}/restart", (id, exchange) => engine.restart(id, stopOptions(exchange), exchange.call)),
    deed("/containers/{id}/kill", (id, { query, call }) => engine.kill(id, readSignal(query.text("signal") ?? "SIGKILL"), call)),
    deed("/containers/{id}/pause", (id, { call }) => engine.pause(id, call)),
    deed("/containers/{id}/unpause", (id, { call }) => engine.resume(id, call)),
    deed("/containers/{id}/rename", async (id, { query, call }) => {
      const name = readName(query.text("name"));
      if (name === undefined) throw new Failure("INVALID_SPEC", "Neither old nor new names may be empty");
      await engine.rename(id, name, call);
    }),
    { method: "POST", path: "/containers/{id}/update", authorizedBy: "handler", outlivesClient: true, handle: (exchange) => update(parts, exchange) },
    {
      method: "DELETE",
      path: "/containers/{id}",
      outlivesClient: true,
      async handle(exchange) {
        const { query } = exchange;
        if (query.flag("link")) throw new Failure("UNSUPPORTED", "links between containers do not exist here", { remedy: "Leave --link out." });
        await engine.remove(exchange.parameter("id"), { force: query.flag("force"), volumes: query.flag("v") }, exchange.call);
        exchange.empty(204);
      },
    },
    { method: "POST", path: "/containers/prune", outlivesClient: true, handle: (exchange) => prune(parts, exchange) },
  ];
}

function stopOptions({ query }: Exchange): { readonly timeoutSeconds?: number; readonly signal?: string } {
  const signal = query.text("signal");
  return present({ timeoutSeconds: query.integer("t"), signal: signal === undefined ? undefined : readSignal(signal) });
}

/** Zero is "unchanged" in Docker's update, and so is what is absent. */
async function update(parts: DockerParts, exchange: Exchange): Promise<void> {
  const body = await readJson(exchange, updateShape);
  const limits = readLimits(body);
  const restart = body.RestartPolicy?.Name ? readRestart({ RestartPolicy: body.RestartPolicy }) : undefined;
  const known = new Set(Object.keys(updateFields));
  const warnings = Object.keys(compact(body))
    .filter((name) => !known.has(name))
    .map((name) => `${name} is not carried out.`);
  await exchange.authorize({ subject: exchange.parameter("id"), limits, ...present({ restart }) });
  const done = await parts.engine.update(exchange.parameter("id"), present({ limits, restart }), exchange.call);
  exchange.json(200, { Warnings: [...warnings, ...done.warnings] });
}

async function prune(parts: DockerParts, exchange: Exchange): Promise<void> {
  const filters = new Filters(exchange.query.text("filters"), ["until", "label", "label!"]);
  const until = filters.values("until")[0];
  const before = until === undefined ? Number.POSITIVE_INFINITY : parts.now() - readAge(until, parts.now());
  const ended = new Set(["created", "exited", "dead"]);
  const chosen = new Set(
    selectContainers(parts, filters)
      .filter((view) => ended.has(view.state) && Date.parse(view.createdAt) < before)
      .map((view) => view.id),
  );
  const { removed, freedBytes } = await parts.engine.prune((view) => !chosen.has(view.id), exchange.call);
  exchange.json(200, { ContainersDeleted: removed, SpaceReclaimed: freedBytes });
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };

/** `10m`, `1h30m`, or an instant, as milliseconds before now. */
export function readAge(text: string, now: number): number {
  if (/^(\d{1,9}[smh])+$/.test(text)) {
    let total = 0;
    for (const [, count, unit] of text.matchAll(/(\d+)([smh])/g)) total += Number(count) * (UNIT_MS[unit as string] as number);
    return total;
  }
  const instant = /^\d{1,12}(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (Number.isNaN(instant)) throw new Failure("INVALID_SPEC", `invalid filter 'until=${text}'`);
  return now - instant;
}
