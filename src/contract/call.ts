/** What travels beside the arguments of every operation that may take time. */

export interface Call {
  /** Aborting it makes the operation stop, undo what it began, and reject CANCELLED. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Marks a moment for the benchmark and for `events`: `kernel-up`, `agent-ready`. Past tense, no numbers. */
  reached(phase: string): void;
}

/** Structured logging: fields first, then a constant message. Never environment values, tokens or guest output. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** A call that nobody aborts, logs or times. For tests and small programs. */
export function plainCall(signal: AbortSignal = new AbortController().signal): Call {
  return { signal, log: silent, reached() {} };
}
