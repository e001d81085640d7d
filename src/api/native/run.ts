/**
 * `POST /bulkhead/v1/run`: create, attach, start and wait in one round trip (contract/run-protocol.ts). In the order of its
 * life: create may still fail as an HTTP status; then the connection is upgraded, the output flows, the status comes last.
 */

import type { Call } from "../../contract/call.ts";
import { Failure, toFailure } from "../../contract/failure.ts";
import { FRAME_KIND } from "../../contract/frame.ts";
import type { Attachment } from "../../contract/process.ts";
import { RUN_UPGRADE, type RunNews, type RunWish } from "../../contract/run-protocol.ts";
import type { Engine } from "../../engine/index.ts";
import { readCreateRequest, settleIsolation } from "../docker/container-create.ts";
import type { DockerParts } from "../docker/parts.ts";
import { readSignal } from "../docker/signal-names.ts";
import { echoOf } from "../docker/echo.ts";
import type { Exchange } from "../exchange.ts";
import { hijack, type RawConnection } from "../hijack.ts";
import type { Route } from "../router.ts";
import { untilAborted } from "../until-aborted.ts";
import { FrameReader, frameHeader, messageFrame } from "./frames.ts";
import { withRemedy } from "../status.ts";

export function runRoutes(parts: DockerParts): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/bulkhead/v1/run",
      authorizedBy: "handler",
      // A client that leaves detaches; what it started runs on.
      outlivesClient: true,
      handle: (exchange) => run(parts, exchange),
    },
  ];
}

async function run(parts: DockerParts, exchange: Exchange): Promise<void> {
  if (exchange.upgradeHead === undefined || exchange.request.headers.upgrade?.toLowerCase() !== RUN_UPGRADE) {
    throw new Failure("INVALID_SPEC", "a run needs a connection of its own", { remedy: `Send Connection: Upgrade and Upgrade: ${RUN_UPGRADE}.` });
  }
  const { engine } = parts;
  const { request, warnings } = await settleIsolation(parts, await readCreateRequest(exchange), exchange);
  await exchange.authorize({ request });
  const made = await engine.create(request, exchange.call);
  const connection = await hijack(exchange, { contentType: "application/vnd.bulkhead.frames", protocol: RUN_UPGRADE });
  const tell = (news: RunNews) => connection.sendPieces(messageFrame(news));
  let attachment: Attachment | undefined;
  let ended = false;
  try {
    const asked = echoOf(request.adapter);
    const streams = { stdin: asked.AttachStdin === true && request.stdin, stdout: asked.AttachStdout === true, stderr: asked.AttachStderr === true };
    attachment = await engine.attach(made.id, streams, exchange.call);
    // Both are asked for before the start, so that neither can be missed.
    const waiting = engine.wait(made.id, request.autoRemove ? "removed" : "next-exit", exchange.call);
    waiting.catch(() => undefined);
    await tell({ event: "created", id: made.id, warnings: [...warnings, ...made.warnings] });
    receiveWishes(connection, { engine, id: made.id, attachment, stdin: streams.stdin, exchange });
    // A client that leaves now has asked all the same.
    await startOrRemove(engine, made.id, { ...exchange.call, signal: new AbortController().signal });
    await tell({ event: "started" });
    await sendOutput(connection, attachment);
    connection.signal.throwIfAborted();
    const { status, error } = await waiting;
    ended = true;
    await tell({ event: "exited", status, ...(error === undefined ? {} : { error }) });
  } catch (thrown) {
    if (!exchange.call.signal.aborted && !ended) await tell({ event: "failed", failure: withRemedy(toFailure(thrown)) });
  } finally {
    attachment?.close();
    connection.finish();
  }
}

async function startOrRemove(engine: Engine, id: string, call: Call): Promise<void> {
  try {
    await engine.start(id, call);
  } catch (thrown) {
    await engine.remove(id, { force: true, volumes: true }, call).catch((again: unknown) => {
      // With auto-removal it may be gone already.
      if (toFailure(again).code !== "NOT_FOUND") call.log.warn({ err: again, workload: id }, "a run that failed could not be removed");
    });
    throw thrown;
  }
}

async function sendOutput(connection: RawConnection, attachment: Attachment): Promise<void> {
  for await (const { stream, bytes } of untilAborted(attachment.output, connection.signal))
    await connection.sendPieces([frameHeader(FRAME_KIND[stream], bytes.length), bytes]);
}

interface Wishing {
  readonly engine: Engine;
  readonly id: string;
  readonly attachment: Attachment;
  readonly stdin: boolean;
  readonly exchange: Exchange;
}

/** Input, resizes and signals from the client. A frame that cannot be ends the connection, not the workload. */
function receiveWishes(connection: RawConnection, wishing: Wishing): void {
  const reader = new FrameReader();
  const { attachment, stdin, exchange } = wishing;
  connection.receive(
    async (chunk) => {
      try {
        for (const frame of reader.read(chunk)) {
          if (frame.kind === FRAME_KIND.message) await obey(JSON.parse(Buffer.from(frame.payload).toString("utf8")) as RunWish, wishing);
          else if (frame.kind === FRAME_KIND.stdin && stdin) await attachment.write(frame.payload).catch(() => undefined);
          else if (frame.kind === FRAME_KIND.end && frame.payload[0] === FRAME_KIND.stdin && stdin) await attachment.endInput().catch(() => undefined);
        }
      } catch (thrown) {
        exchange.call.log.debug({ err: thrown }, "a run's client sent what is no frame");
        exchange.socket.destroy();
      }
    },
    () => undefined,
  );
}

async function obey(wish: RunWish, { engine, id, exchange }: Wishing): Promise<void> {
  const late = (thrown: unknown) => exchange.call.log.debug({ err: thrown }, "a wish came too late");
  if (wish.verb === "resize" && Number.isInteger(wish.rows) && Number.isInteger(wish.columns)) {
    await engine.resizeTerminal(id, { rows: wish.rows, columns: wish.columns }, exchange.call).catch(late);
  } else if (wish.verb === "signal" && typeof wish.signal === "string") {
    await engine.kill(id, readSignal(wish.signal), exchange.call).catch(late);
  } else throw new Failure("INVALID_SPEC", "unknown wish");
}
