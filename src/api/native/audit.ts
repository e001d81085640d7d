/** What is wrong with a workload before it runs, or while it does: `/bulkhead/v1/audit`, and the document mended, `/bulkhead/v1/audit/mend`. */

import { Type } from "@sinclair/typebox";
import { audit, DOCUMENT_KINDS, type Knowledge, mend } from "../../auditor/index.ts";
import type { Call } from "../../contract/call.ts";
import { toFailure } from "../../contract/failure.ts";
import type { ImageView } from "../../images/index.ts";
import { readJson, shape } from "../body.ts";
import { chooseIsolation } from "../docker/isolation.ts";
import type { DockerParts } from "../docker/parts.ts";
import type { Route } from "../router.ts";

const MOST_DOCUMENTS = 500;

const document = Type.Object(
  {
    kind: Type.Union(DOCUMENT_KINDS.map((kind) => Type.Literal(kind))),
    name: Type.String({ maxLength: 4096 }),
    content: Type.Unknown(),
  },
  { additionalProperties: false },
);
/** The finding's id, and why it is accepted. */
const accepted = Type.Optional(Type.Record(Type.String({ pattern: "^BH\\d{3}$" }), Type.String({ minLength: 1, maxLength: 1000 })));
const auditShape = shape(Type.Object({ documents: Type.Array(document, { maxItems: MOST_DOCUMENTS }), accepted }, { additionalProperties: false }));
const mendShape = shape(Type.Object({ document, strict: Type.Optional(Type.Boolean()), accepted }, { additionalProperties: false }));

export function auditRoutes(parts: DockerParts): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/bulkhead/v1/audit",
      async handle(exchange) {
        const asked = await readJson(exchange, auditShape);
        const knowledge = await learn(parts, exchange.call);
        exchange.json(200, { schemaVersion: 1, findings: asked.documents.flatMap((one) => audit(one, knowledge, asked.accepted)) });
      },
    },
    {
      method: "POST",
      path: "/bulkhead/v1/audit/mend",
      async handle(exchange) {
        const asked = await readJson(exchange, mendShape);
        const knowledge = await learn(parts, exchange.call);
        const options = { strict: asked.strict ?? false, accepted: asked.accepted ?? {} };
        exchange.json(200, { schemaVersion: 1, ...mend(asked.document, knowledge, options) });
      },
    },
  ];
}

/** What this daemon knows of images and boundaries that a document names. */
export async function learn({ engine, images }: DockerParts, call: Call): Promise<Knowledge> {
  const reports = await engine.probe(undefined, { fresh: false }, call);
  return {
    image(name) {
      const image = findImage(images, name);
      return image === undefined ? undefined : { user: image.configuration.user, healthCheck: image.configuration.healthCheck !== undefined };
    },
    boundary(name) {
      const kind = meantBy(name) ?? (name === "" ? engine.defaultIsolation : undefined);
      return kind === undefined ? undefined : { kind, emulated: reports.find((report) => report.kind === kind)?.identity?.emulated ?? false };
    },
  };
}

/** Undefined for one that is not here, or is no name: a document may name what is still to be pulled or built. */
export function findImage(images: DockerParts["images"], name: string): ImageView | undefined {
  try {
    return images.get(name);
  } catch (thrown) {
    const { code } = toFailure(thrown);
    if (code === "NOT_FOUND" || code === "INVALID_SPEC") return undefined;
    throw thrown;
  }
}

/** Undefined for a name that no boundary has: a runtime of somebody else's is no wall that we know. */
function meantBy(name: string): string | undefined {
  try {
    const chosen = chooseIsolation(undefined, name);
    return chosen === "auto" ? undefined : chosen;
  } catch {
    return undefined;
  }
}
