/** `POST /containers/{id}/exec` and what follows it: start, resize, inspect. */

import { Type, type Static, type TSchema } from "@sinclair/typebox";
import { plainCall } from "../../contract/call.ts";
import { Failure, type FailureCode } from "../../contract/failure.ts";
import type { Attachment, TerminalSize } from "../../contract/process.ts";
import type { ExecRequest, ExecView } from "../../engine/index.ts";
import { readJson, shape } from "../body.ts";
import type { Exchange } from "../exchange.ts";
import { hijack } from "../hijack.ts";
import type { Route } from "../router.ts";
import { messageOf } from "../status.ts";
import { readSize } from "./container-attach.ts";
import { isStanding } from "./container-state.ts";
import { readConsoleSize } from "./create-body.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { joinStreams } from "./join-streams.ts";
import { streamHeader, streamType } from "./multiplex.ts";
import type { DockerParts } from "./parts.ts";
import { present } from "./present.ts";

const opt = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));
const flag = opt(Type.Boolean());
const ConsoleSize = opt(Type.Array(Type.Integer({ minimum: 0, maximum: 65_535 }), { minItems: 2, maxItems: 2 }));

const ExecCreate = Type.Object({
  Cmd: opt(Type.Array(Type.String())),
  Env: opt(Type.Array(Type.String())),
  WorkingDir: opt(Type.String()),
  User: opt(Type.String()),
  Tty: flag,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  Privileged: flag,
  DetachKeys: opt(Type.String()),
});
const createShape = shape(ExecCreate);
const startShape = shape(Type.Object({ Detach: flag, Tty: flag, ConsoleSize }));

export function execRoutes(parts: DockerParts): readonly Route[] {
  return [
    { method: "POST", path: "/containers/{id}/exec", authorizedBy: "handler", handle: (exchange) => create(parts, exchange) },
    { method: "POST", path: "/exec/{id}/start", authorizedBy: "handler", handle: (exchange) => start(parts, exchange) },
    {
      method: "POST",
      path: "/exec/{id}/resize",
      authorizedBy: "handler",
      async handle(exchange) {
        await admitToExec(parts, exchange);
        await parts.engine.resizeExec(exchange.parameter("id"), readSize(exchange), exchange.call);
        exchange.empty(200);
      },
    },
    {
      method: "GET",
      path: "/exec/{id}/json",
      authorizedBy: "handler",
      handle: async (exchange) => exchange.json(200, execJson(await admitToExec(parts, exchange))),
    },
  ];
}

/** An exec's id says nothing to a policy: it is told the workload that it runs in, and what it runs. */
export async function admitToExec({ engine }: Pick<DockerParts, "engine">, exchange: Exchange): Promise<ExecView> {
  const view = engine.inspectExec(exchange.parameter("id"));
  await exchange.authorize({ subject: view.workload, execId: view.id, exec: view.request });
  return view;
}

async function create(parts: DockerParts, exchange: Exchange): Promise<void> {
  const body = await readJson(exchange, createShape);
  const request = readExecRequest(body);
  await exchange.authorize({ subject: exchange.parameter("id"), exec: request });
  const { id } = await parts.engine.createExec(exchange.parameter("id"), request, exchange.call);
  exchange.json(201, { Id: id });
}

function readExecRequest(body: Static<typeof ExecCreate>): ExecRequest {
  if (!body.Cmd || body.Cmd.length === 0) throw new Failure("INVALID_SPEC", "No exec command specified");
  parseDetachKeys(body.DetachKeys || undefined);
  return {
    command: body.Cmd,
    environment: body.Env ?? [],
    ...present({ workingDirectory: body.WorkingDir || undefined, user: body.User || undefined }),
    terminal: body.Tty ?? false,
    attach: { stdin: body.AttachStdin ?? false, stdout: body.AttachStdout ?? false, stderr: body.AttachStderr ?? false },
    privileged: body.Privileged ?? false,
    ...(body.DetachKeys ? { adapter: { detachKeys: body.DetachKeys } } : {}),
  };
}

async function start(parts: DockerParts, exchange: Exchange): Promise<void> {
  const body = await readJson(exchange, startShape);
  const view = await admitToExec(parts, exchange);
  if (!view.running && !isStanding(parts.engine.inspect(view.workload))) {
    throw new Failure("NOT_FOUND", `No such exec instance: ${view.id}`, {
      workload: view.workload,
      remedy: "Its container has stopped: start it and create another exec.",
    });
  }
  const options = { detach: body.Detach ?? false, ...present({ terminalSize: readConsoleSize(body.ConsoleSize) }) };
  const attachment = await startOrSay(parts, exchange, view, options);
  if (attachment === "said") return;
  if (attachment === undefined) {
    exchange.empty(200);
    return;
  }
  const { terminal, attach, adapter } = view.request;
  const connection = await hijack(exchange, { contentType: streamType(exchange, terminal), protocol: "tcp" }).catch((thrown: unknown) => {
    attachment.close();
    throw thrown;
  });
  const isDebug = view.request.tools !== undefined;
  const detachKeys = isDebug ? [] : parseDetachKeys((adapter as { detachKeys?: string } | undefined)?.detachKeys);
  const leaving = () => leave(parts, view.id);
  await joinStreams(connection, attachment, {
    terminal,
    stdin: attach.stdin,
    detachKeys,
    beforeEnd: () => settled(parts, view.id),
    // A terminal's input ends when somebody hangs up.
    ...(isDebug && terminal ? { inputEnded: leaving } : {}),
  });
  if (isDebug) await leaving();
}

/** What the command's own place refused: no such program, none that runs, a user that is not there, no room left within the workload's limits. */
const TOLD_IN_STREAM: ReadonlySet<FailureCode> = new Set(["COMMAND_NOT_FOUND", "COMMAND_NOT_EXECUTABLE", "INVALID_SPEC", "EXHAUSTED"]);

/**
 * A command that could not be begun is told in the stream, as moby does: the stock client prints it and then asks for the exit
 * code, 126 or 127. An error status would make it exit 1 and print nothing but the number.
 */
async function startOrSay(
  parts: DockerParts,
  exchange: Exchange,
  view: ExecView,
  options: { readonly terminalSize?: TerminalSize; readonly detach: boolean },
): Promise<Attachment | undefined | "said"> {
  try {
    return await parts.engine.startExec(view.id, options, exchange.call);
  } catch (thrown) {
    if (!(thrown instanceof Failure) || !TOLD_IN_STREAM.has(thrown.code) || options.detach) throw thrown;
    const { terminal } = view.request;
    const connection = await hijack(exchange, { contentType: streamType(exchange, terminal), protocol: "tcp" });
    const text = Buffer.from(`${messageOf(thrown)}\r\n`);
    await connection.sendPieces(terminal ? [text] : [streamHeader("stdout", text.length), text]);
    connection.finish();
    return "said";
  }
}

/** The client asks for the exit code as soon as the stream ends: it must be there by then. Bounded, so that no stream hangs on it. */
async function settled(parts: DockerParts, id: string): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    try {
      if (!parts.engine.inspectExec(id).running) return;
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Nobody comes back to a debug session: it ends with whoever was in it. */
async function leave({ engine }: DockerParts, id: string): Promise<void> {
  await engine.signalExec(id, "SIGKILL", plainCall()).catch(() => false);
}

function execJson(view: ExecView): object {
  const { request } = view;
  const [entrypoint = "", ...rest] = request.command;
  return {
    ID: view.id,
    Running: view.running,
    ExitCode: view.exit?.code ?? null,
    ProcessConfig: {
      tty: request.terminal,
      entrypoint,
      arguments: rest,
      privileged: request.privileged,
      ...(request.user === undefined ? {} : { user: request.user }),
    },
    OpenStdin: request.attach.stdin,
    OpenStdout: request.attach.stdout,
    OpenStderr: request.attach.stderr,
    CanRemove: !view.running && view.exit !== undefined,
    ContainerID: view.workload,
    DetachKeys: "",
    Pid: view.hostPid ?? 0,
  };
}
