/**
 * Daemon ↔ supervisor, the same behind every boundary. A unix stream socket per workload, frames of `frame.ts`, any
 * number of connections. Requests and answers have the launcher's form (`{"id", "verb"}`, `{"id", "ok" | "failure"}`).
 *
 * Streams. A connection that joined a process (`attach`, `exec`) gets `stdout` and `stderr` frames with that process's number, then `end`
 * frames for both, and may send `stdin` frames and `end` (of stdin). The kernel's socket buffer is the flow control: a
 * connection that does not read stops its process's output once the supervisor's buffer for it (1 MiB) is full — like a pipe
 * does. One that has read nothing for 60 s while others waited for it (the main process, who joined the same exec, the workload's end) is
 * closed. Its requests wait as well, once so much or 64 of its questions are open; what others cause to be sent to it is kept up to 4 MiB, and then it is closed.
 *
 * Heartbeat: the supervisor answers `ping` at once whatever else it does.
 *
 * Events, sent to every connection that said hello, as messages without id:
 *     {"event": "started", "hostPid"}                         the main process was let go
 *     {"event": "exited", "process", "status": ExitStatus}    after the process's output was sent and logged
 *     {"event": "out-of-memory"}   {"event": "paused"}   {"event": "resumed"}
 *     {"event": "client-dropped", "queuedBytes"}              another connection read nothing for too long, and was closed
 *     {"event": "ended", "reason": ExitRecord}                the last word: nothing comes after it
 *
 * Who joined with stdin closes first, and is waited for (2 s): a write to a connection that was closed loses what its writer has not read yet.
 * Every other connection is closed after the last word.
 */

import type { AttachOptions, ExitStatus, TerminalSize } from "./process.ts";
import type { GuestProcess } from "./launch-plan.ts";
import type { Greeting } from "./protocol-version.ts";
import type { ResourceUse } from "./sandbox.ts";
import type { LimitsSpec } from "./spec.ts";

type Nothing = Record<never, never>;

export interface SupervisorVerbs {
  hello: {
    ask: Greeting;
    ok: {
      /** The version that both ends speak from now on: `protocol-version.ts`. */
      version: number;
      workload: string;
      state: "held" | "running" | "paused" | "ending";
      mainPid: number | null;
      terminal: boolean;
      /** Execs that still run or whose exit is remembered. */
      processes: readonly { process: number; hostPid: number | null; status: ExitStatus | null; name?: string | null }[];
    };
  };
  /** Lets the main process go. Answers when it runs; COMMAND_NOT_FOUND and COMMAND_NOT_EXECUTABLE where it cannot. A second time: UNCHANGED. */
  start: { ask: Nothing; ok: Nothing };
  /** Joins a process's stdio from now on, on this connection. Before `start` is allowed and misses nothing. */
  attach: { ask: { process: number } & AttachOptions; ok: Nothing };
  /** Starts a further process and joins it. Its output is not logged; with nothing attached it is read and dropped. `hello` tells its `name`. */
  exec: { ask: { spec: GuestProcess; attach: AttachOptions; name?: string }; ok: { process: number; hostPid: number | null } };
  /** `delivered` is false where the process has ended. */
  signal: { ask: { process: number; signal: string }; ok: { delivered: boolean } };
  resize: { ask: { process: number } & TerminalSize; ok: Nothing };
  pause: { ask: Nothing; ok: Nothing };
  resume: { ask: Nothing; ok: Nothing };
  stats: { ask: Nothing; ok: ResourceUse };
  top: { ask: Nothing; ok: { titles: readonly string[]; rows: readonly (readonly string[])[] } };
  update: { ask: { limits: LimitsSpec }; ok: Nothing };
  /** Tells the firewall of the published ports once more, after another program took its table away. Asked by the launcher. */
  republish: { ask: Nothing; ok: Nothing };
  /** Kills everything behind the boundary and ends it. The answer comes after the exit record is written. */
  end: { ask: Nothing; ok: Nothing };
  ping: { ask: Nothing; ok: Nothing };
}

export type SupervisorVerb = keyof SupervisorVerbs;
export type SupervisorAsk<V extends SupervisorVerb> = SupervisorVerbs[V]["ask"];
export type SupervisorOk<V extends SupervisorVerb> = SupervisorVerbs[V]["ok"];
