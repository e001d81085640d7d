/** Which processes of a sandbox are known, and how they ended. News may come before the process itself is known here. */

import type { ExitStatus } from "../contract/process.ts";

/** Ended execs that stay findable; older ones are forgotten, but never one whose beginning has not been heard of yet. */
const REMEMBERED = 64;

export interface ProcessEntry {
  readonly number: number;
  /** What whoever asked for the exec calls it. */
  name: string | undefined;
  hostPid: number | undefined;
  terminal: boolean;
  status: ExitStatus | undefined;
  readonly exited: Promise<ExitStatus>;
}

interface Entry extends ProcessEntry {
  readonly settle: (status: ExitStatus) => void;
  /** Its beginning was answered. */
  known: boolean;
}

export class ProcessTable {
  readonly #entries = new Map<number, Entry>();
  #beginning = 0;

  /** An exec was asked for: its end may be told, on another connection, before its beginning is answered here. */
  begin(): void {
    this.#beginning++;
  }

  /** It began. */
  begun(number: number): ProcessEntry {
    const entry = this.#entry(number);
    entry.known = true;
    this.failed();
    return entry;
  }

  /** It did not begin. */
  failed(): void {
    this.#beginning--;
    this.#forget();
  }

  find(exec: number | string): ProcessEntry | undefined {
    if (typeof exec === "number") return this.#entries.get(exec);
    return [...this.#entries.values()].find(({ name }) => name === exec);
  }

  /** The entry of a process, made at its first mention. */
  get(number: number): ProcessEntry {
    return this.#entry(number);
  }

  settle(number: number, status: ExitStatus): void {
    const entry = this.#entry(number);
    if (entry.status !== undefined) return;
    entry.status = status;
    entry.settle(status);
    this.#forget();
  }

  /** The sandbox is no more: what still ran was killed. */
  settleAll(main: ExitStatus): void {
    this.settle(0, main);
    const killed: ExitStatus = { code: 137, signal: "SIGKILL", outOfMemory: main.outOfMemory, at: main.at };
    for (const number of this.#entries.keys()) this.settle(number, killed);
  }

  #entry(number: number): Entry {
    let entry = this.#entries.get(number);
    if (entry === undefined) {
      const { promise, resolve } = Promise.withResolvers<ExitStatus>();
      entry = { number, name: undefined, hostPid: undefined, terminal: false, status: undefined, exited: promise, settle: resolve, known: false };
      this.#entries.set(number, entry);
    }
    return entry;
  }

  #forget(): void {
    for (const entry of this.#entries.values()) {
      if (this.#entries.size <= REMEMBERED) return;
      const held = this.#beginning > 0 && !entry.known;
      if (entry.number !== 0 && entry.status !== undefined && !held) this.#entries.delete(entry.number);
    }
  }
}
