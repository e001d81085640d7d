/**
 * The one error of Bulkhead. Its code is chosen by what the caller should do differently; its `what` is one sentence;
 * its `remedy` tells the reader what to do. The same fields cross every wire: nobody parses a sentence.
 */

export const FAILURE_CODES = [
  "INVALID_SPEC", // the request can never work as it is: change it
  "NOT_FOUND", // the thing named does not exist
  "ALREADY_EXISTS", // a name, port or tag is taken: choose another or remove the holder
  "WRONG_STATE", // the thing exists and cannot do this now
  "UNCHANGED", // the thing already is in the state asked for
  "UNSUPPORTED", // this boundary or this host can never do it: choose another boundary
  "UNAVAILABLE", // this host cannot do it now: follow the remedy, then ask again
  "DENIED_BY_POLICY", // the operator forbids it
  "UNAUTHENTICATED", // credentials are missing or wrong
  "CORRUPT_DATA", // bytes from outside are not what they claim to be
  "EXHAUSTED", // disk, memory, addresses or a limit ran out
  "COMMAND_NOT_FOUND", // exit code 127
  "COMMAND_NOT_EXECUTABLE", // exit code 126
  "TIMED_OUT",
  "CANCELLED",
  "CONNECTION_LOST", // the other end went away before it answered; what was checked stands in `what`
  "INTERNAL", // a fault of ours
] as const;

export type FailureCode = (typeof FAILURE_CODES)[number];

/** What to do about each code where a failure says nothing better. Total: a new code without one does not compile. */
export const REMEDIES: Readonly<Record<FailureCode, string>> = {
  INVALID_SPEC: "correct what the sentence names, then ask again",
  NOT_FOUND: "look at `ps -a`, `images`, `volume ls`, `network ls`",
  ALREADY_EXISTS: "choose another, or remove the holder",
  WRONG_STATE: "start, stop or resume it first",
  UNCHANGED: "nothing: it is as you want it",
  UNSUPPORTED: "choose another boundary",
  UNAVAILABLE: "follow the remedy, then ask again; `doctor` shows what is missing",
  DENIED_BY_POLICY: "ask the operator, or ask for less",
  UNAUTHENTICATED: "put credentials into `~/.docker/config.json`",
  CORRUPT_DATA: "fetch or make the archive again",
  EXHAUSTED: "free some, or raise the limit",
  COMMAND_NOT_FOUND: "name one that is there",
  COMMAND_NOT_EXECUTABLE: "check its mode, and that it is for this machine",
  TIMED_OUT: "raise the limit, or leave it out",
  CANCELLED: "ask again",
  CONNECTION_LOST: "the sentence says what was checked; look with `ps -a`",
  INTERNAL: "report it, with the daemon's log",
};

/** What crosses a wire. */
export interface FailureDocument {
  readonly code: FailureCode;
  readonly what: string;
  readonly workload?: string;
  readonly boundary?: string;
  readonly remedy?: string;
}

export interface FailureDetails {
  readonly workload?: string;
  readonly boundary?: string;
  readonly remedy?: string;
  readonly cause?: unknown;
}

export class Failure extends Error {
  override readonly name = "Failure";
  readonly code: FailureCode;
  readonly workload: string | undefined;
  readonly boundary: string | undefined;
  readonly remedy: string | undefined;

  constructor(code: FailureCode, what: string, details: FailureDetails = {}) {
    super(what, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.workload = details.workload;
    this.boundary = details.boundary;
    this.remedy = details.remedy;
  }

  /** The plain form that crosses a wire; absent fields are left out. */
  toJSON(): FailureDocument {
    return {
      code: this.code,
      what: this.message,
      ...(this.workload === undefined ? {} : { workload: this.workload }),
      ...(this.boundary === undefined ? {} : { boundary: this.boundary }),
      ...(this.remedy === undefined ? {} : { remedy: this.remedy }),
    };
  }

  /** Reads what came over a wire; an unknown code becomes INTERNAL with the sentence kept. */
  static fromDocument(document: unknown): Failure {
    const fields = (typeof document === "object" && document !== null ? document : {}) as Record<string, unknown>;
    const text = (name: string) => (typeof fields[name] === "string" ? fields[name] : undefined);
    const known = FAILURE_CODES.find((code) => code === fields.code);
    return new Failure(known ?? "INTERNAL", text("what") ?? "the other end failed without saying why", {
      ...(text("workload") === undefined ? {} : { workload: text("workload") as string }),
      ...(text("boundary") === undefined ? {} : { boundary: text("boundary") as string }),
      ...(text("remedy") === undefined ? {} : { remedy: text("remedy") as string }),
    });
  }
}

/** What the kernel says where a disk, or what its user may have of it, is full. */
const DISK_FULL: readonly unknown[] = ["ENOSPC", "EDQUOT"];

/** Any thrown value as a Failure. A full disk is nobody's fault and EXHAUSTED; what else is not one of ours becomes INTERNAL and keeps its cause. */
export function toFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  if (thrown instanceof Error && DISK_FULL.includes((thrown as NodeJS.ErrnoException).code)) return diskFull(thrown);
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new Failure("INTERNAL", text, { cause: thrown });
}

export function diskFull(cause: unknown): Failure {
  return new Failure("EXHAUSTED", "the disk is full", { remedy: "free space below the root (`bulkhead image prune`), then ask again", cause });
}

/** An outside value for an error sentence: quoted, control characters escaped, cut at 120 characters. */
export function quote(value: string): string {
  const escaped = JSON.stringify(value.length > 120 ? `${value.slice(0, 117)}...` : value);
  return escaped;
}
