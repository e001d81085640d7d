/** Choosing: `/bulkhead/v1/advise`, and the measurements that it rests on, `/bulkhead/v1/measurements`. */

import { Type } from "@sinclair/typebox";
import { advise, assume, type Host, type Measurements, merge, parseMeasurements, parseRequirements, requirementsOfImage } from "../../advisor/index.ts";
import type { Call } from "../../contract/call.ts";
import { Failure } from "../../contract/failure.ts";
import { readJson, shape } from "../body.ts";
import type { DockerParts } from "../docker/parts.ts";
import type { Route } from "../router.ts";

/** What the advisor knows of this host. */
export interface AdviceSource {
  describeHost(call: Call): Promise<Host>;
  /** The last that was kept. */
  readMeasurements(): Measurements | undefined;
  keepMeasurements(measurements: Measurements): void;
}

export interface AdviceParts extends DockerParts {
  readonly advice: AdviceSource;
}

const questionShape = shape(
  Type.Object(
    {
      requirements: Type.Optional(Type.Unknown()),
      /** An image that is here: what it says of its needs counts where the requirements are silent. */
      image: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
      assume: Type.Optional(Type.Array(Type.String({ maxLength: 200 }), { maxItems: 50 })),
      /** Instead of what was last measured here; null for none. */
      measurements: Type.Optional(Type.Unknown()),
    },
    { additionalProperties: false },
  ),
);

export function adviceRoutes({ advice, images }: AdviceParts): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/bulkhead/v1/advise",
      async handle(exchange) {
        const asked = await readJson(exchange, questionShape);
        const host = assume(await advice.describeHost(exchange.call), asked.assume ?? []);
        const given = parseRequirements(asked.requirements ?? {});
        const requirements = asked.image === undefined ? given : merge(requirementsOfImage(images.get(asked.image).configuration, host), given);
        const measurements = measurementsFor(asked.measurements, advice);
        exchange.json(200, { ...advise({ requirements, host, ...(measurements === undefined ? {} : { measurements }) }), requirements });
      },
    },
    {
      method: "GET",
      path: "/bulkhead/v1/measurements",
      handle(exchange) {
        const measurements = advice.readMeasurements();
        if (measurements === undefined) throw new Failure("NOT_FOUND", "nothing was measured on this host yet", { remedy: "bulkhead compare" });
        exchange.json(200, { schemaVersion: 1, ...measurements });
      },
    },
    {
      method: "PUT",
      path: "/bulkhead/v1/measurements",
      async handle(exchange) {
        advice.keepMeasurements(parseMeasurements(await readJson(exchange, anything)));
        exchange.json(200, {});
      },
    },
  ];
}

const anything = shape(Type.Unknown());

/** Those that are given; the last that were kept where nothing is said; none for null. */
export function measurementsFor(given: unknown, advice: AdviceSource): Measurements | undefined {
  if (given === undefined) return advice.readMeasurements();
  return given === null ? undefined : parseMeasurements(given);
}
