/** One line of a json-file log, as the supervisor writes it and Docker's tools know it. */

import { parseInstant } from "./clock.ts";
import type { LogEntry, LogQuery } from "./index.ts";

/** Undefined for a line that is not whole: a torn end after a power cut is no reason to hide the rest. */
export function parseLogLine(line: Buffer): LogEntry | undefined {
  let fields: { readonly log?: unknown; readonly stream?: unknown; readonly time?: unknown };
  try {
    fields = JSON.parse(line.toString("utf8")) as typeof fields;
  } catch {
    return undefined;
  }
  const { log, stream, time } = fields ?? {};
  if (typeof log !== "string" || typeof time !== "string") return undefined;
  return { stream: stream === "stderr" ? "stderr" : "stdout", at: nineDigits(time), bytes: Buffer.from(log, "utf8") };
}

/** Writers trim trailing zeros of the fraction; readers are promised nine digits. */
function nineDigits(time: string): string {
  const [whole = "", fraction = ""] = time.replace(/Z$/, "").split(".");
  return `${whole}.${fraction.padEnd(9, "0").slice(0, 9)}Z`;
}

/** `over` where everything from here on is later than was asked for. */
export function judgeEntry(entry: LogEntry, query: LogQuery): "wanted" | "skipped" | "over" {
  if (query.sinceNs !== undefined || query.untilNs !== undefined) {
    const at = parseInstant(entry.at) ?? 0n;
    if (query.untilNs !== undefined && at > query.untilNs) return "over";
    if (query.sinceNs !== undefined && at < query.sinceNs) return "skipped";
  }
  return (entry.stream === "stdout" ? query.stdout : query.stderr) ? "wanted" : "skipped";
}
