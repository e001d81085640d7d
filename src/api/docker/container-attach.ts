/** `POST /containers/{id}/attach` and `/resize`. The process is joined before the answer: a start after it misses nothing. */

import { Failure } from "../../contract/failure.ts";
import type { TerminalSize } from "../../contract/process.ts";
import type { WorkloadView } from "../../engine/index.ts";
import type { Exchange } from "../exchange.ts";
import { hijack, type RawConnection } from "../hijack.ts";
import type { Route } from "../router.ts";
import { untilAborted } from "../until-aborted.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { joinStreams } from "./join-streams.ts";
import { streamHeader, streamType } from "./multiplex.ts";
import type { DockerParts } from "./parts.ts";

export function attachRoutes(parts: DockerParts): readonly Route[] {
  return [
    { method: "POST", path: "/containers/{id}/attach", handle: (exchange) => attach(parts, exchange) },
    {
      method: "POST",
      path: "/containers/{id}/resize",
      async handle(exchange) {
        await parts.engine.resizeTerminal(exchange.parameter("id"), readSize(exchange), exchange.call);
        exchange.empty(200);
      },
    },
  ];
}

async function attach(parts: DockerParts, exchange: Exchange): Promise<void> {
  const { query, call } = exchange;
  const view = parts.engine.inspect(exchange.parameter("id"));
  if (view.state === "paused") throw new Failure("WRONG_STATE", `Container ${view.id} is paused, unpause the container before attach`, { workload: view.id });
  const detachKeys = parseDetachKeys(query.text("detachKeys"));
  const streams = { stdin: query.flag("stdin") && view.request.stdin, stdout: query.flag("stdout"), stderr: query.flag("stderr") };
  const attachment = query.flag("stream") ? await parts.engine.attach(view.id, streams, call) : undefined;
  let connection: RawConnection;
  try {
    connection = await hijack(exchange, { contentType: streamType(exchange, view.request.terminal), protocol: "tcp" });
    if (query.flag("logs")) await replay(parts, exchange, view, connection);
  } catch (thrown) {
    attachment?.close();
    throw thrown;
  }
  if (attachment === undefined) connection.finish();
  else await joinStreams(connection, attachment, { terminal: view.request.terminal, stdin: streams.stdin, detachKeys });
}

/** What was logged so far, as the live stream would have carried it. */
async function replay(parts: DockerParts, { query, call }: Exchange, view: WorkloadView, connection: RawConnection): Promise<void> {
  const wanted = { stdout: query.flag("stdout"), stderr: query.flag("stderr"), follow: false, tail: undefined, sinceNs: undefined, untilNs: undefined };
  for await (const entries of untilAborted(parts.engine.logs(view.id, wanted, call), call.signal)) {
    const pieces = entries.flatMap(({ stream, bytes }) => (view.request.terminal ? [bytes] : [streamHeader(stream, bytes.length), bytes]));
    await connection.send(Buffer.concat(pieces));
  }
}

/** `h` and `w`. Rejects INVALID_SPEC where one is missing or no size. */
export function readSize({ query }: Exchange): TerminalSize {
  const rows = query.integer("h");
  const columns = query.integer("w");
  const fits = (value: number | undefined): value is number => value !== undefined && value >= 0 && value <= 65_535;
  if (!fits(rows) || !fits(columns)) throw new Failure("INVALID_SPEC", "invalid terminal size: h and w are wanted, from 0 to 65535");
  return { rows, columns };
}
