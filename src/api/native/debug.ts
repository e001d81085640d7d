/**
 * `POST /bulkhead/v1/workloads/{id}/debug`: an exec with another image's files for its root. What is made is an exec, and all that is done with
 * execs is done with it.
 */

import { Type, type Static, type TSchema } from "@sinclair/typebox";
import type { ExecRequest } from "../../engine/index.ts";
import { readJson, shape } from "../body.ts";
import type { DockerParts } from "../docker/parts.ts";
import { present } from "../docker/present.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../router.ts";

const opt = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));
const flag = opt(Type.Boolean());

const DebugBody = Type.Object({
  Image: Type.String({ minLength: 1 }),
  Cmd: opt(Type.Array(Type.String())),
  Env: opt(Type.Array(Type.String())),
  WorkingDir: opt(Type.String()),
  User: opt(Type.String()),
  Tty: flag,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
});
const debugShape = shape(DebugBody);

/** What every image of tools has. */
const SHELL = ["sh"];

export function debugRoutes(parts: DockerParts): readonly Route[] {
  return [{ method: "POST", path: "/bulkhead/v1/workloads/{id}/debug", authorizedBy: "handler", handle: (exchange) => create(parts, exchange) }];
}

async function create({ engine }: DockerParts, exchange: Exchange): Promise<void> {
  const request = readDebugRequest(await readJson(exchange, debugShape));
  await exchange.authorize({ subject: exchange.parameter("id"), exec: request });
  const { id } = await engine.createExec(exchange.parameter("id"), request, exchange.call);
  exchange.json(201, { Id: id });
}

function readDebugRequest(body: Static<typeof DebugBody>): ExecRequest {
  return {
    tools: body.Image,
    command: body.Cmd?.length ? body.Cmd : SHELL,
    environment: body.Env ?? [],
    ...present({ workingDirectory: body.WorkingDir || undefined, user: body.User || undefined }),
    terminal: body.Tty ?? false,
    attach: { stdin: body.AttachStdin ?? false, stdout: body.AttachStdout ?? false, stderr: body.AttachStderr ?? false },
    privileged: false,
  };
}
