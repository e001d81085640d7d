/** The file that a supervisor leaves when everything else of a sandbox is gone (`ExitRecord` of the launch plan). */

import { Failure } from "../contract/failure.ts";
import type { ExitRecord } from "../contract/launch-plan.ts";
import type { ExitStatus } from "../contract/process.ts";
import type { EndReason } from "../contract/sandbox.ts";
import { findSmallFile } from "./small-file.ts";

/** A record has a few hundred, and what a runtime said of its failure. */
const MOST_BYTES = 64 * 1024;

const KINDS = ["exited", "ended", "boundary-lost"] as const;

/** The record, or undefined where there is none or a crash of the host has emptied it. Rejects CORRUPT_DATA for a file that is no record, or longer than any. */
export async function findExitRecord(path: string): Promise<ExitRecord | undefined> {
  const text = await findSmallFile(path, "exit record", MOST_BYTES);
  // Empty: the name of a file that a crash of the host kept from the disk.
  if (text === undefined || text === "") return undefined;
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new Failure("CORRUPT_DATA", `The exit record ${path} is not JSON`, { cause });
  }
  return parseExitRecord(document);
}

/** Checks what came from a file or a wire. */
export function parseExitRecord(document: unknown): ExitRecord {
  const record = (typeof document === "object" && document !== null ? document : {}) as Record<string, unknown>;
  const kind = KINDS.find((known) => known === record["kind"]);
  if (kind === undefined || record["version"] !== 1) throw new Failure("CORRUPT_DATA", "An exit record arrived that this program cannot read");
  return {
    version: 1,
    workload: typeof record["workload"] === "string" ? record["workload"] : "",
    kind,
    ...(typeof record["what"] === "string" ? { what: record["what"] } : {}),
    ...parseExitStatus(record),
    started: record["started"] === true,
  };
}

/** Checks an exit status from a wire; a code that is none becomes 255. */
export function parseExitStatus(document: unknown): ExitStatus {
  const fields = (typeof document === "object" && document !== null ? document : {}) as Record<string, unknown>;
  const code = fields["code"];
  return {
    code: typeof code === "number" && Number.isInteger(code) && code >= 0 && code <= 255 ? code : 255,
    ...(typeof fields["signal"] === "string" ? { signal: fields["signal"] } : {}),
    outOfMemory: fields["outOfMemory"] === true,
    at: typeof fields["at"] === "string" ? fields["at"] : nowInNanoseconds(),
  };
}

export function toEndReason(record: ExitRecord): EndReason {
  const status: ExitStatus = {
    code: record.code,
    ...(record.signal === undefined ? {} : { signal: record.signal }),
    outOfMemory: record.outOfMemory,
    at: record.at,
  };
  if (record.kind === "boundary-lost") return { kind: "boundary-lost", status, what: record.what ?? "the boundary was lost" };
  return { kind: record.kind, status };
}

/** How a sandbox ended whose supervisor left no word. 137, because whatever ran was killed. */
export function lostReason(what: string): EndReason {
  return { kind: "boundary-lost", status: { code: 137, signal: "SIGKILL", outOfMemory: false, at: nowInNanoseconds() }, what };
}

/** RFC 3339 with nine digits, as far as this clock goes. */
export function nowInNanoseconds(): string {
  return new Date().toISOString().replace("Z", "000000Z");
}
