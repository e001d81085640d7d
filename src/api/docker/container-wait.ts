/** `POST /containers/{id}/wait`: clients ask before they start, and go on as soon as the headers are there. */

import { Failure, quote, toFailure } from "../../contract/failure.ts";
import type { WaitCondition } from "../../engine/index.ts";
import type { Route } from "../router.ts";
import type { DockerParts } from "./parts.ts";
import { messageOf } from "../status.ts";

const CONDITIONS: readonly WaitCondition[] = ["not-running", "next-exit", "removed"];

export function waitRoutes(parts: DockerParts): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/containers/{id}/wait",
      async handle(exchange) {
        const condition = readCondition(exchange.query.text("condition"));
        // Throws NOT_FOUND while a status can still say so; the id cannot be renamed away while we wait.
        const { id } = parts.engine.inspect(exchange.parameter("id"));
        const waiting = parts.engine.wait(id, condition, exchange.call);
        exchange.begin(200, "application/json");
        try {
          const { status, error } = await waiting;
          // Who waits for the next exit has been told by the failed start; told here again, the stock client would exit 125 in place of the code.
          const told = error === undefined || condition !== "not-running" ? {} : { Error: { Message: error } };
          exchange.response.end(`${JSON.stringify({ StatusCode: status.code, ...told })}\n`);
        } catch (thrown) {
          if (exchange.call.signal.aborted) {
            exchange.response.end();
            return;
          }
          exchange.response.end(`${JSON.stringify({ StatusCode: -1, Error: { Message: messageOf(toFailure(thrown)) } })}\n`);
        }
      },
    },
  ];
}

function readCondition(given: string | undefined): WaitCondition {
  if (given === undefined) return "not-running";
  const condition = CONDITIONS.find((known) => known === given);
  if (condition === undefined) throw new Failure("INVALID_SPEC", `invalid condition: ${quote(given)}`);
  return condition;
}
