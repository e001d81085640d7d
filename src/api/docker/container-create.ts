/** `POST /containers/create`. */

import { Failure, quote } from "../../contract/failure.ts";
import { parseJson, readBody } from "../body.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../router.ts";
import { readCreateBody, type CreateReading } from "./create-body.ts";
import { createShape } from "./create-shape.ts";
import type { DockerParts } from "./parts.ts";
import { present } from "./present.ts";

export function createRoutes(parts: DockerParts): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/containers/create",
      authorizedBy: "handler",
      async handle(exchange) {
        const { request, warnings } = await settleIsolation(parts, await readCreateRequest(exchange), exchange);
        await exchange.authorize({ request });
        const made = await parts.engine.create(request, exchange.call);
        exchange.json(201, { Id: made.id, Warnings: [...warnings, ...made.warnings] });
      },
    },
  ];
}

/** Where the boundary was left to advice, or another stands in for it, that is settled now, and said. */
export async function settleIsolation(parts: DockerParts, reading: CreateReading, exchange: Exchange): Promise<CreateReading> {
  if (reading.auto) {
    const { isolation, because } = await parts.chooseIsolation(reading.request, exchange.identity, exchange.call);
    return { ...reading, auto: false, request: { ...reading.request, isolation }, warnings: [...reading.warnings, `isolation auto: ${because}`] };
  }
  const fallen = await parts.fallBack(reading.request, exchange.identity, exchange.call);
  if (fallen === undefined) return reading;
  const { isolation, insteadOf, because } = fallen;
  return { ...reading, request: { ...reading.request, isolation, insteadOf }, warnings: [...reading.warnings, `isolation ${isolation}: ${because}`] };
}

/** Body and query of a create; the native run asks in the same form. */
export async function readCreateRequest(exchange: Exchange): Promise<CreateReading> {
  const bytes = await readBody(exchange);
  const body = parseJson(bytes, createShape);
  if (Object.keys(body).length === 0) throw new Failure("INVALID_SPEC", "config cannot be empty in order to create a container");
  const reading = readCreateBody(body, present({ name: readName(exchange.query.text("name")), platform: exchange.query.text("platform") }));
  return { ...reading, request: { ...reading.request, domain: domainOf(exchange, reading.request.labels) } };
}

/** Names a tenant of the caller's own. It parts one user's workloads; it never joins those of two. */
const TENANT_LABEL = "bulkhead.tenant";

function domainOf(exchange: Exchange, labels: Readonly<Record<string, string>>): string {
  const tenant = labels[TENANT_LABEL];
  return tenant === undefined ? `uid ${exchange.identity.uid}` : `uid ${exchange.identity.uid} tenant ${tenant}`;
}

/** A name as Docker allows it; clients may put a slash before it. */
export function readName(given: string | undefined): string | undefined {
  const name = given?.replace(/^\//, "");
  if (name === undefined || /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}$/.test(name)) return name;
  throw new Failure("INVALID_SPEC", `Invalid container name (${quote(name)}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
}
