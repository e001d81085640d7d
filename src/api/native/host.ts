/** What this host can do and who serves here: `/bulkhead/v1/version`, `/probes`, `/doctor`, `/templates`, `/shutdown`, `/workloads/{id}`, `/execs/{id}/signal`. */

import { Type } from "@sinclair/typebox";
import { BOUNDARY_KINDS, type BoundaryKind } from "../../contract/boundary.ts";
import type { Call } from "../../contract/call.ts";
import type { Finding } from "../../contract/driver.ts";
import { Failure, quote } from "../../contract/failure.ts";
import { readJson, shape } from "../body.ts";
import { API_VERSION, MIN_API_VERSION } from "../docker/api-version.ts";
import { admitToExec } from "../docker/exec.ts";
import type { DockerParts } from "../docker/parts.ts";
import type { Route } from "../router.ts";

/** Version of the native part; a change that breaks clients takes another path. */
export const NATIVE_VERSION = "v1";

const signalShape = shape(Type.Object({ Signal: Type.String() }));

export interface NativeParts extends DockerParts {
  /** Everything that doctor looks at, found out anew. */
  readonly diagnose: (call: Call) => Promise<readonly Finding[]>;
  /** Lets the daemon end as a SIGTERM would: workloads go on, unless all that the daemon has on the host shall be taken away. Absent where nobody can be told so. */
  readonly stopDaemon?: (options: { readonly teardown: boolean }) => void;
}

export function hostRoutes(parts: NativeParts): readonly Route[] {
  const { engine, server } = parts;
  return [
    {
      method: "GET",
      path: "/bulkhead/v1/version",
      handle: (exchange) =>
        exchange.json(200, {
          product: "Bulkhead",
          version: server.version,
          commit: server.commit,
          id: server.id,
          native: NATIVE_VERSION,
          docker: { newest: API_VERSION, oldest: MIN_API_VERSION },
          node: process.versions.node,
        }),
    },
    {
      method: "GET",
      path: "/bulkhead/v1/capabilities",
      async handle(exchange) {
        const reports = await engine.probe(undefined, { fresh: false }, exchange.call);
        exchange.json(200, {
          defaultIsolation: engine.defaultIsolation,
          boundaries: reports.map(({ kind, usable, identity, facets }) => ({ kind, usable, facets, ...(identity === undefined ? {} : { identity }) })),
        });
      },
    },
    {
      method: "GET",
      path: "/bulkhead/v1/probes",
      async handle(exchange) {
        const kind = readKind(exchange.query.text("isolation"));
        exchange.json(200, { probes: await engine.probe(kind, { fresh: exchange.query.flag("fresh") }, exchange.call) });
      },
    },
    {
      method: "GET",
      path: "/bulkhead/v1/doctor",
      handle: async (exchange) => exchange.json(200, { schemaVersion: 1, findings: await parts.diagnose(exchange.call) }),
    },
    {
      method: "POST",
      path: "/bulkhead/v1/shutdown",
      handle(exchange) {
        if (parts.stopDaemon === undefined)
          throw new Failure("UNSUPPORTED", "this daemon cannot be stopped over its socket", { remedy: "Stop its unit, or send it SIGTERM." });
        const teardown = exchange.query.flag("teardown");
        exchange.json(202, { pid: process.pid });
        parts.stopDaemon({ teardown });
      },
    },
    {
      method: "POST",
      path: "/bulkhead/v1/execs/{id}/signal",
      authorizedBy: "handler",
      outlivesClient: true,
      async handle(exchange) {
        const { Signal } = await readJson(exchange, signalShape);
        const { id } = await admitToExec({ engine }, exchange);
        exchange.json(200, { delivered: await engine.signalExec(id, Signal, exchange.call) });
      },
    },
    {
      method: "GET",
      path: "/bulkhead/v1/templates",
      handle: (exchange) => exchange.json(200, { enabled: engine.makesTemplates, templates: engine.templates() }),
    },
    {
      method: "DELETE",
      path: "/bulkhead/v1/templates",
      outlivesClient: true,
      async handle(exchange) {
        await engine.removeTemplates();
        exchange.json(200, {});
      },
    },
    { method: "GET", path: "/bulkhead/v1/workloads", handle: (exchange) => exchange.json(200, { workloads: engine.list() }) },
    { method: "GET", path: "/bulkhead/v1/workloads/{id}", handle: (exchange) => exchange.json(200, engine.inspect(exchange.parameter("id"))) },
  ];
}

function readKind(given: string | undefined): BoundaryKind | undefined {
  const kind = BOUNDARY_KINDS.find((known) => known === given);
  if (given !== undefined && kind === undefined) {
    throw new Failure("INVALID_SPEC", `unknown isolation: ${quote(given)}`, { remedy: `Known are ${BOUNDARY_KINDS.join(", ")}.` });
  }
  return kind;
}
