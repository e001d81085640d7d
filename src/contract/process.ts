/** A process behind a boundary. The main process and every exec are the same kind of thing. */

import type { Call } from "./call.ts";

export interface ProcessSpec {
  /** Program and arguments; never empty. The program is looked up in the workload's PATH where it has no slash. */
  readonly command: readonly string[];
  /** `NAME=value`. */
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  /** `name`, `uid`, `name:group`, `uid:gid` as Docker takes it; empty is root. Resolved inside the boundary. */
  readonly user: string;
  readonly additionalGroups: readonly string[];
  /** Give it a terminal: stdout carries everything, stderr stays empty. */
  readonly terminal: boolean;
  /** First size of the terminal. */
  readonly terminalSize?: TerminalSize;
  /** Keep stdin open for attached clients; otherwise it reads end-of-file at once. */
  readonly stdin: boolean;
  /** Docker's `StdinOnce`: the end of the first attached client's input ends stdin. */
  readonly stdinOnce: boolean;
  /** For an exec: what the caller calls it, at most 128 bytes. `ExecFacet.find` knows it by that, also in a later daemon. */
  readonly name?: string;
  /** For an exec: all capabilities. The main process takes its set from the sandbox's security. */
  readonly privileged?: boolean;
}

/** As root at the root, without an environment, a terminal or input: the least that a process can be. */
export function plainProcess(command: readonly string[]): ProcessSpec {
  return { command, environment: [], workingDirectory: "/", user: "", additionalGroups: [], terminal: false, stdin: false, stdinOnce: false };
}

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** How a process ended. */
export interface ExitStatus {
  /** 0–255; 128 + signal number where a signal ended it; 126 and 127 where it could not be started. */
  readonly code: number;
  /** `SIGKILL`, where one ended it and the boundary can tell. */
  readonly signal?: string;
  /** The kernel killed it, or a process of its sandbox, for memory. */
  readonly outOfMemory: boolean;
  /** When it ended, RFC 3339 with nanoseconds, UTC. */
  readonly at: string;
}

export interface AttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/**
 * A live connection to a process's stdio. It outlives nothing: closing it does not end the process, and the process's
 * end closes it after the last byte.
 */
export interface Attachment {
  /** Chunks in order of arrival; ends after the process has ended and its pipes were drained. Reading slowly slows the process. */
  readonly output: AsyncIterable<{ readonly stream: "stdout" | "stderr"; readonly bytes: Uint8Array }>;
  /** Resolves when there is room for more. Rejects WRONG_STATE after `endInput` or when stdin is not open. */
  write(bytes: Uint8Array): Promise<void>;
  /** Half-close: the process reads end-of-file (where `stdinOnce` or it is an exec); output goes on. */
  endInput(): Promise<void>;
  close(): void;
}

export interface Process {
  /** Process number inside the sandbox's own count: 0 is the main process. Not a pid. */
  readonly number: number;
  /** The pid on the host that stands for it, where there is one. */
  readonly hostPid: number | undefined;
  /** Settles once and never rejects: a boundary that was lost gives 137 with the reason in the sandbox's `ended`. */
  readonly exited: Promise<ExitStatus>;
  /** Joins the process's stdio. Any number of times, by any number of clients, from any daemon. */
  attach(options: AttachOptions, call: Call): Promise<Attachment>;
  /** `SIGTERM` and the like. False where the process has already ended. */
  signal(name: string, call: Call): Promise<boolean>;
  /** Only for a process with a terminal; else rejects UNSUPPORTED. */
  resizeTerminal(size: TerminalSize, call: Call): Promise<void>;
}
