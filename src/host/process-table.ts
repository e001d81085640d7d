/** Which processes of a sandbox are known, and how they ended. News may come before the process itself is known here. */

import type { ExitStatus } from "../contract/process.ts";

/** Ended execs that stay findable; older ones are forgotten. */
const REMEMBERED = 64;

export interface ProcessEntry {
  readonly number: number;
  hostPid: number | undefined;
  terminal: boolean;
  status: ExitStatus | undefined;
  readonly exited: Promise<ExitStatus>;
}

export class ProcessTable {
  readonly #entries = new Map<number, ProcessEntry & { settle: (status: ExitStatus) => void }>();

  find(number: number): ProcessEntry | undefined {
    return this.#entries.get(number);
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
    if (this.#entries.size > REMEMBERED) this.#forget();
  }

  /** The sandbox is no more: what still ran was killed. */
  settleAll(main: ExitStatus): void {
    this.settle(0, main);
    const killed: ExitStatus = { code: 137, signal: "SIGKILL", outOfMemory: main.outOfMemory, at: main.at };
    for (const number of this.#entries.keys()) this.settle(number, killed);
  }

  #entry(number: number): ProcessEntry & { settle: (status: ExitStatus) => void } {
    let entry = this.#entries.get(number);
    if (entry === undefined) {
      const { promise, resolve } = Promise.withResolvers<ExitStatus>();
      entry = { number, hostPid: undefined, terminal: false, status: undefined, exited: promise, settle: resolve };
      this.#entries.set(number, entry);
    }
    return entry;
  }

  #forget(): void {
    for (const entry of this.#entries.values()) {
      if (this.#entries.size <= REMEMBERED) return;
      if (entry.number !== 0 && entry.status !== undefined) this.#entries.delete(entry.number);
    }
  }
}
