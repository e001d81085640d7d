/** Choosing: `/bulkhead/v1/advise`, and the measurements that it rests on, `/bulkhead/v1/measurements`. */

import { Type } from "@sinclair/typebox";
import {
  advise,
  type Assumption,
  assume,
  findingsOfImage,
  type Host,
  layersOf,
  type Measurements,
  merge,
  parseMeasurements,
  parseRequirements,
  type Requirements,
  requirementsOfImage,
  requirementsOfWorkload,
} from "../../advisor/index.ts";
import { viewsOf } from "../../auditor/index.ts";
import type { Call } from "../../contract/call.ts";
import { Failure, toFailure } from "../../contract/failure.ts";
import type { ImageView } from "../../images/index.ts";
import { readJson, shape } from "../body.ts";
import type { DockerParts } from "../docker/parts.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../router.ts";
import { findImage, learn } from "./audit.ts";

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

const common = {
  /** Go before what the image or the document says. */
  requirements: Type.Optional(Type.Unknown()),
  assume: Type.Optional(Type.Array(Type.String({ maxLength: 200 }), { maxItems: 50 })),
  /** Instead of what was last measured here; null for none. */
  measurements: Type.Optional(Type.Unknown()),
  /** With the layers, from the hardware to the application. */
  explain: Type.Optional(Type.Boolean()),
};
const questionShape = shape(
  Type.Object(
    {
      ...common,
      /** An image that is here: what it says of its needs counts where the requirements are silent. */
      image: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
    },
    { additionalProperties: false },
  ),
);
const documentShape = shape(
  Type.Object(
    {
      ...common,
      document: Type.Object(
        {
          kind: Type.Union([Type.Literal("create"), Type.Literal("inspect"), Type.Literal("compose")]),
          name: Type.String({ maxLength: 4096 }),
          content: Type.Unknown(),
        },
        { additionalProperties: false },
      ),
    },
    { additionalProperties: false },
  ),
);

export function adviceRoutes(parts: AdviceParts): readonly Route[] {
  const { advice } = parts;
  return [
    {
      method: "POST",
      path: "/bulkhead/v1/advise",
      async handle(exchange) {
        const asked = await readJson(exchange, questionShape);
        const { host, answer } = await prepare(parts, exchange, asked);
        if (asked.image === undefined) return exchange.json(200, answer({}));
        const image = parts.images.get(asked.image);
        const seen = await lookInto(parts, image);
        exchange.json(200, answer(requirementsOfImage(image.configuration, host), seen));
      },
    },
    {
      method: "POST",
      path: "/bulkhead/v1/advise/document",
      async handle(exchange) {
        const asked = await readJson(exchange, documentShape);
        const { host, answer } = await prepare(parts, exchange, asked);
        const views = viewsOf(asked.document, await learn(parts, exchange.call));
        const workloads = [];
        for (const view of views) {
          const image = view.image === "" ? undefined : findImage(parts.images, view.image);
          const found = image === undefined ? {} : requirementsOfImage(image.configuration, host);
          const seen = image === undefined ? undefined : await lookInto(parts, image);
          workloads.push({ name: view.name, ...answer(merge(found, requirementsOfWorkload(view)), seen) });
        }
        exchange.json(200, { schemaVersion: 1, workloads });
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

interface Asked {
  readonly requirements?: unknown;
  readonly assume?: readonly string[];
  readonly measurements?: unknown;
  readonly explain?: boolean;
}

/** What a question is answered by: the host that is meant, and the advice on what something says of its own needs. */
async function prepare({ advice }: AdviceParts, exchange: Exchange, asked: Asked) {
  const host = assume(await advice.describeHost(exchange.call), asked.assume ?? []);
  const given = parseRequirements(asked.requirements ?? {});
  const measurements = measurementsFor(asked.measurements, advice);
  const answer = (found: Requirements, seenIn: Seen = () => []) => {
    const requirements = merge(found, given);
    const advised = advise({ requirements, host, ...(measurements === undefined ? {} : { measurements }), seen: seenIn(requirements) });
    const explained = asked.explain === true && advised.recommendation !== null ? { layers: layersOf(advised.recommendation, host) } : {};
    return { ...advised, ...explained, requirements };
  };
  return { host, answer };
}

type Seen = (requirements: Requirements) => readonly Assumption[];

/** An image that cannot be read is no reason to give no advice: that is said as well. */
async function lookInto({ images }: DockerParts, { id, configuration }: ImageView): Promise<Seen> {
  const files = await images.contents(id).catch((thrown: unknown) => toFailure(thrown).message);
  return (requirements) => findingsOfImage(configuration, files, requirements);
}

/** Those that are given; the last that were kept where nothing is said; none for null. */
export function measurementsFor(given: unknown, advice: AdviceSource): Measurements | undefined {
  if (given === undefined) return advice.readMeasurements();
  return given === null ? undefined : parseMeasurements(given);
}
