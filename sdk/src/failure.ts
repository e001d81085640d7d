/**
 * The one error of the SDK. It carries what the daemon's answer carried: a code to act on, a sentence, a remedy.
 * The codes are those of the daemon's own table, compared with it by a test; the SDK depends on nothing of the daemon.
 */

export const FAILURE_CODES = [
  "INVALID_SPEC",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "WRONG_STATE",
  "UNCHANGED",
  "UNSUPPORTED",
  "UNAVAILABLE",
  "DENIED_BY_POLICY",
  "UNAUTHENTICATED",
  "CORRUPT_DATA",
  "EXHAUSTED",
  "COMMAND_NOT_FOUND",
  "COMMAND_NOT_EXECUTABLE",
  "TIMED_OUT",
  "CANCELLED",
  "CONNECTION_LOST",
  "INTERNAL",
] as const;

export type FailureCode = (typeof FAILURE_CODES)[number];

export interface FailureDetails {
  readonly workload?: string | undefined;
  readonly boundary?: string | undefined;
  readonly remedy?: string | undefined;
  /** HTTP status of the answer that said it; absent where no answer came. */
  readonly status?: number | undefined;
  readonly cause?: unknown;
}

export class Failure extends Error {
  override readonly name = "Failure";
  readonly code: FailureCode;
  readonly workload: string | undefined;
  readonly boundary: string | undefined;
  readonly remedy: string | undefined;
  readonly status: number | undefined;

  constructor(code: FailureCode, what: string, details: FailureDetails = {}) {
    super(what, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.workload = details.workload;
    this.boundary = details.boundary;
    this.remedy = details.remedy;
    this.status = details.status;
  }
}

/** What a status means where the body names no code: an answer from a server that is not ours. */
function codeOfStatus(status: number): FailureCode {
  if (status === 304) return "UNCHANGED";
  if (status === 400) return "INVALID_SPEC";
  if (status === 401) return "UNAUTHENTICATED";
  if (status === 403) return "DENIED_BY_POLICY";
  if (status === 404) return "NOT_FOUND";
  if (status === 409) return "WRONG_STATE";
  if (status === 501) return "UNSUPPORTED";
  if (status === 503) return "UNAVAILABLE";
  return "INTERNAL";
}

/** Reads a failure that came over the wire: `{code, what, remedy, …}`, Docker's `{message}`, or both in one. */
export function failureFromDocument(document: unknown, status?: number): Failure {
  const fields = (typeof document === "object" && document !== null ? document : {}) as Record<string, unknown>;
  const text = (name: string): string | undefined => (typeof fields[name] === "string" && fields[name] !== "" ? fields[name] : undefined);
  const known = FAILURE_CODES.find((code) => code === fields["code"]);
  const what =
    text("what") ?? text("message") ?? (status === undefined ? "the daemon failed without saying why" : `the daemon answered ${status} without saying why`);
  return new Failure(known ?? (status === undefined ? "INTERNAL" : codeOfStatus(status)), what, {
    workload: text("workload"),
    boundary: text("boundary"),
    remedy: text("remedy"),
    status,
  });
}
