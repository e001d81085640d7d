/** Structured lines on standard error. Nothing per request at `info`; never environment values, tokens or guest output. */

import { type DestinationStream, pino } from "pino";
import type { Log } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";

export function createLog(level: "debug" | "info" | "warn" | "error", destination: DestinationStream = pino.destination({ fd: 2, sync: true })): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describe, thrown: describe },
    },
    destination,
  );
}

/** A failure with its code and causes; the stack only where it is a fault of ours. */
function describe(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const ours = thrown instanceof Failure && thrown.code !== "INTERNAL";
  return {
    ...(thrown instanceof Failure ? thrown.toJSON() : { what: thrown.message }),
    ...(ours ? {} : { stack: thrown.stack }),
    ...(thrown.cause === undefined ? {} : { cause: thrown.cause instanceof Error ? thrown.cause.message : "see above" }),
  };
}
