/**
 * Supervisor ↔ guest agent. A byte stream (virtio-serial now, vsock where the VMM offers it), frames of `frame.ts`.
 * The agent is the guest's process 1, or was started by it; everything from it is hostile until checked: lengths, numbers, states.
 *
 *     agent      {"event": "hello", "version": 1, "kernel": "6.1.0"}           its first word, and the point that templates save
 *     supervisor {"id", "verb": "configure", ...GuestConfiguration, "clock": nanoseconds, "entropy": base64}
 *     supervisor {"id", "verb": "start", "process": 0, "spec": GuestProcess}      and any number of execs: process 1, 2, …
 *                                                                                 (one with `files` also before the main process is started)
 *     agent      {"event": "exited", "process", "code", "signal"?, "outOfMemory"}     after that process's last output frame and both `end`s
 *
 * Flow control by credit, per process and stream, both directions: each side may send INITIAL_CREDIT_BYTES, then waits for
 * `credit` frames. So one flooding process can neither fill the other side's memory nor hold up its neighbours.
 */

import type { GuestConfiguration, GuestProcess } from "./launch-plan.ts";
import type { TerminalSize } from "./process.ts";

export const INITIAL_CREDIT_BYTES = 256 * 1024;

type Nothing = Record<never, never>;

export interface AgentVerbs {
  configure: { ask: GuestConfiguration & { clockNs: string; entropyBase64: string }; ok: Nothing };
  start: { ask: { process: number; spec: GuestProcess }; ok: { pid: number } };
  signal: { ask: { process: number; signal: string }; ok: { delivered: boolean } };
  resize: { ask: { process: number } & TerminalSize; ok: Nothing };
  /** Freezes and thaws every workload process inside. */
  freeze: { ask: Nothing; ok: Nothing };
  thaw: { ask: Nothing; ok: Nothing };
  stats: { ask: Nothing; ok: { memoryBytes: number; memoryInactiveFileBytes: number; pids: number; outOfMemoryKills: number } };
  top: { ask: Nothing; ok: { titles: readonly string[]; rows: readonly (readonly string[])[] } };
  update: { ask: { limits: unknown }; ok: Nothing };
  /** Steps the clock: after a resume. */
  clock: { ask: { clockNs: string }; ok: Nothing };
  ping: { ask: Nothing; ok: Nothing };
  /** Ends every process, syncs, powers off. No answer. */
  powerOff: { ask: Nothing; ok: Nothing };
}
