/** `GET /containers/{id}/logs`. */

import { Failure, toFailure } from "../../contract/failure.ts";
import type { LogQuery } from "../../engine/index.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../router.ts";
import { messageOf } from "../status.ts";
import { untilAborted } from "../until-aborted.ts";
import { streamHeader, streamType, type OutputStream } from "./multiplex.ts";
import type { DockerParts } from "./parts.ts";

export function logRoutes(parts: DockerParts): readonly Route[] {
  return [{ method: "GET", path: "/containers/{id}/logs", handle: (exchange) => logs(parts, exchange) }];
}

async function logs(parts: DockerParts, exchange: Exchange): Promise<void> {
  const { query, call } = exchange;
  const view = parts.engine.inspect(exchange.parameter("id"));
  const wanted = readLogQuery(exchange);
  if (view.request.log.driver === "none") {
    throw new Failure("UNSUPPORTED", "configured logging driver does not support reading", {
      workload: view.id,
      remedy: "Create it with --log-driver json-file.",
    });
  }
  const stamps = query.flag("timestamps");
  const { terminal } = view.request;
  exchange.begin(200, streamType(exchange, terminal));
  const frame = (stream: OutputStream, bytes: Uint8Array): readonly Uint8Array[] => (terminal ? [bytes] : [streamHeader(stream, bytes.length), bytes]);
  try {
    // A line that was cut into pieces is stamped once, at its beginning.
    const within = { stdout: false, stderr: false };
    for await (const entries of untilAborted(parts.engine.logs(view.id, wanted, call), call.signal)) {
      const pieces = entries.flatMap(({ stream, at, bytes }) => {
        const stamped = stamps && !within[stream] ? Buffer.concat([Buffer.from(`${at} `), bytes]) : bytes;
        within[stream] = bytes.at(-1) !== 0x0a;
        return frame(stream, stamped);
      });
      await exchange.write(Buffer.concat(pieces));
    }
  } catch (thrown) {
    if (call.signal.aborted) {
      exchange.response.end();
      return;
    }
    await exchange.write(Buffer.concat(frame("system", Buffer.from(`Error grabbing logs: ${messageOf(toFailure(thrown))}\n`))));
  }
  exchange.response.end();
}

/** Rejects INVALID_SPEC where no stream is chosen. */
function readLogQuery({ query }: Exchange): LogQuery {
  const stdout = query.flag("stdout");
  const stderr = query.flag("stderr");
  if (!stdout && !stderr) throw new Failure("INVALID_SPEC", "Bad parameters: you must choose at least one stream");
  const tail = query.text("tail");
  const since = query.instant("since");
  const until = query.instant("until");
  return {
    stdout,
    stderr,
    follow: query.flag("follow"),
    // Anything that is no count means all, as in Docker.
    tail: tail !== undefined && /^\d{1,12}$/.test(tail) ? Number(tail) : undefined,
    sinceNs: since === 0n ? undefined : since,
    untilNs: until === 0n ? undefined : until,
  };
}
