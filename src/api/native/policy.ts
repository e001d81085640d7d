/** The operator's policy, for who asks before it is met: `/bulkhead/v1/policy`, what it would say of a create, whether a text is one. */

import { Type } from "@sinclair/typebox";
import { Failure } from "../../contract/failure.ts";
import type { WorkloadRequest } from "../../engine/index.ts";
import { judge, parsePolicy, type Policy, type PolicySubject } from "../../policy/index.ts";
import { parseJson, readJson, shape } from "../body.ts";
import { settleIsolation } from "../docker/container-create.ts";
import { readCreateBody } from "../docker/create-body.ts";
import { createShape } from "../docker/create-shape.ts";
import type { DockerParts } from "../docker/parts.ts";
import type { Route } from "../router.ts";

export interface PolicySource {
  /** Rejects DENIED_BY_POLICY where there is none to go by. */
  current(): Promise<Policy>;
  readonly file: string;
  /** What the policy would look at. Undefined where the image is not here. */
  subjectOf(request: WorkloadRequest): Promise<PolicySubject | undefined>;
}

export interface PolicyParts extends DockerParts {
  readonly policy: PolicySource;
}

const textShape = shape(Type.Object({ text: Type.String(), file: Type.String({ maxLength: 4096 }) }, { additionalProperties: false }));
const checkShape = shape(
  Type.Object(
    {
      /** Of `POST /containers/create`. */
      create: Type.Record(Type.String(), Type.Unknown()),
      /** A policy that is not in force yet. */
      policy: Type.Optional(Type.Object({ text: Type.String(), file: Type.String({ maxLength: 4096 }) }, { additionalProperties: false })),
    },
    { additionalProperties: false },
  ),
);

export function policyRoutes(parts: PolicyParts): readonly Route[] {
  const { policy } = parts;
  return [
    { method: "GET", path: "/bulkhead/v1/policy", handle: async (exchange) => exchange.json(200, { file: policy.file, policy: await policy.current() }) },
    {
      method: "POST",
      path: "/bulkhead/v1/policy/parse",
      async handle(exchange) {
        const { text, file } = await readJson(exchange, textShape);
        exchange.json(200, { policy: await parsePolicy(text, file) });
      },
    },
    {
      method: "POST",
      path: "/bulkhead/v1/policy/check",
      async handle(exchange) {
        const asked = await readJson(exchange, checkShape);
        const reading = readCreateBody(parseJson(Buffer.from(JSON.stringify(asked.create)), createShape), {});
        const { request } = await settleIsolation(parts, reading, exchange);
        const judged = asked.policy === undefined ? await policy.current() : await parsePolicy(asked.policy.text, asked.policy.file);
        const subject = await policy.subjectOf(request);
        if (subject === undefined) throw new Failure("NOT_FOUND", `No such image: ${request.image}`);
        const violations = judge(judged, exchange.identity, subject);
        exchange.json(200, { allowed: violations.length === 0, violations, boundary: subject.boundary });
      },
    },
  ];
}
