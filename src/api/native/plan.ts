/** How many hosts, behind which boundary: `/bulkhead/v1/plan`. */

import { Type } from "@sinclair/typebox";
import { assume, type Host, parseRequirements } from "../../advisor/index.ts";
import { Failure } from "../../contract/failure.ts";
import { type HostType, plan, type PlannedWorkload, planTypes } from "../../planner/index.ts";
import { readJson, shape } from "../body.ts";
import { chooseIsolation } from "../docker/isolation.ts";
import type { Route } from "../router.ts";
import { type AdviceParts, measurementsFor } from "./advice.ts";

const MIB = 1024 * 1024;
/** What a host keeps where nobody says: the daemon, the system, and room for the page cache. */
const RESERVED_BYTES = 1024 * MIB;

const amount = (minimum: number) => Type.Number({ exclusiveMinimum: minimum, maximum: Number.MAX_SAFE_INTEGER });
const hostShape = Type.Object(
  {
    name: Type.Optional(Type.String({ maxLength: 200 })),
    cpus: Type.Optional(amount(0)),
    memoryBytes: Type.Optional(amount(0)),
    diskBytes: Type.Optional(amount(0)),
    pricePerMonth: Type.Optional(Type.Number({ minimum: 0 })),
    reservedMemoryBytes: Type.Optional(Type.Number({ minimum: 0 })),
  },
  { additionalProperties: false },
);
const planShape = shape(
  Type.Object(
    {
      workloads: Type.Array(
        Type.Object(
          {
            name: Type.String({ minLength: 1, maxLength: 200 }),
            count: Type.Integer({ minimum: 1, maximum: 10_000_000 }),
            requirements: Type.Optional(Type.Unknown()),
            /** Any name of a boundary; absent or `auto` leaves it to the plan. */
            isolation: Type.Optional(Type.String({ maxLength: 100 })),
          },
          { additionalProperties: false },
        ),
        { minItems: 1, maxItems: 1000 },
      ),
      /** Absent: hosts like this one. */
      host: Type.Optional(hostShape),
      /** Instead: several with prices, of which the cheapest or the cheapest mix is chosen. */
      hostTypes: Type.Optional(Type.Array(hostShape, { minItems: 1, maxItems: 20 })),
      assume: Type.Optional(Type.Array(Type.String({ maxLength: 200 }), { maxItems: 50 })),
      /** Instead of what was last measured here; null for none. */
      measurements: Type.Optional(Type.Unknown()),
    },
    { additionalProperties: false },
  ),
);

export interface PlanParts extends AdviceParts {
  /** Bytes of the disk that workloads of this daemon lie on. */
  readonly diskBytes: () => number;
}

export function planRoutes({ advice, diskBytes }: PlanParts): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/bulkhead/v1/plan",
      async handle(exchange) {
        const asked = await readJson(exchange, planShape);
        const host = assume(await advice.describeHost(exchange.call), asked.assume ?? []);
        const measurements = measurementsFor(asked.measurements, advice);
        const workloads = asked.workloads.map(({ name, count, requirements, isolation }): PlannedWorkload => {
          const chosen = chooseIsolation(undefined, isolation);
          const boundary = chosen === undefined || chosen === "auto" ? {} : { boundary: chosen };
          return { name, count, requirements: parseRequirements(requirements ?? {}), ...boundary };
        });
        const question = { workloads, host, ...(measurements === undefined ? {} : { measurements }) };
        const here = likeThis(host, diskBytes());
        if (asked.hostTypes === undefined) return exchange.json(200, plan({ ...question, hostType: { ...here, ...asked.host } }));
        if (asked.host !== undefined)
          throw new Failure("INVALID_SPEC", "host and hostTypes are two ways to say what hosts there are", { remedy: "give one of them" });
        const types = asked.hostTypes.map((type): HostType => ({ ...here, reservedMemoryBytes: reservedOf(type.memoryBytes ?? here.memoryBytes), ...type }));
        exchange.json(200, planTypes(question, types));
      },
    },
  ];
}

function likeThis({ processors, memoryBytes }: Host, diskBytes: number): HostType {
  return { name: "this host", cpus: processors, memoryBytes, diskBytes, reservedMemoryBytes: reservedOf(memoryBytes) };
}

function reservedOf(memoryBytes: number): number {
  return Math.min(RESERVED_BYTES, memoryBytes / 4);
}
