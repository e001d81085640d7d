/** One workload as the daemon holds it: its record, and what lives only while the daemon does. */

import type { Sandbox } from "../contract/sandbox.ts";
import { EarlyAttachments } from "./attachments.ts";
import { Mutex } from "./mutex.ts";
import type { Raise } from "./raising.ts";
import type { WorkloadRecord } from "./record.ts";
import { Waits } from "./waits.ts";

/** A main process that was let go, and the moment at which its end was written down. */
export interface Run {
  readonly sandbox: Sandbox;
  readonly over: Promise<void>;
  readonly finish: () => void;
}

export class Workload {
  record: WorkloadRecord;
  readonly mutex = new Mutex();
  readonly waits = new Waits();
  readonly attachments = new EarlyAttachments();
  /** Held, or on its way to be. */
  raise: Raise | undefined;
  run: Run | undefined;
  /** A caller restarts it: its next end is not the end that removes it. */
  keptAtEnd = false;
  /** Cancels the restart that is due. */
  cancelRestart: (() => void) | undefined;
  health: "none" | "starting" | "healthy" | "unhealthy" = "none";
  stopHealth: (() => void) | undefined;
  /** Ids of its execs, oldest first. */
  readonly execs = new Set<string>();

  /** Who copies files of it in this moment: given up when it is removed. */
  readonly copies = new Set<AbortController>();

  /** Called after every change of the record. */
  readonly watchers = new Set<() => void>();

  constructor(record: WorkloadRecord) {
    this.record = record;
  }

  get id(): string {
    return this.record.id;
  }

  /** Runs, or will again by itself. */
  get isLive(): boolean {
    return this.isUp || this.record.state === "restarting";
  }

  get isUp(): boolean {
    return this.record.state === "running" || this.record.state === "paused";
  }
}
