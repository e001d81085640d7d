/** What clients do to a daemon that may die under them at any time: each deed is begun, and may be cut. */

import type { TestDaemon } from "../harness/daemon.ts";

/** Repeatable: the same seed gives the same numbers (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const TICKS = 10;
/** Says ten lines and ends with its own code. */
const ticking = (code: number) => ["sh", "-c", `i=0; while [ $i -lt ${TICKS} ]; do i=$((i+1)); echo line $i; sleep 0.02; done; exit ${code}`];

export interface LoadOptions {
  readonly usable: readonly string[];
  readonly random: () => number;
  readonly workers: number;
}

export class Load {
  /** Exit codes that workloads must have once they ended by themselves, by id. */
  readonly ended = new Map<string, number>();
  private readonly daemon: TestDaemon;
  private readonly options: LoadOptions;
  private deeds: Record<string, number> = {};
  private working: Promise<void>[] = [];
  private over = false;

  constructor(daemon: TestDaemon, options: LoadOptions) {
    this.daemon = daemon;
    this.options = options;
  }

  begin(): void {
    this.over = false;
    this.deeds = {};
    this.working = Array.from({ length: this.options.workers }, () => this.work());
  }

  /** After the daemon's death: every deed ends, for its connection did. Resolves with how many of each had been carried out. */
  async end(): Promise<Readonly<Record<string, number>>> {
    this.over = true;
    await Promise.all(this.working);
    return this.deeds;
  }

  private async work(): Promise<void> {
    while (!this.over) {
      const deed = this.choose(["createAndStart", "createAndStart", "runAndRemove", "exec", "stop", "remove", "remove"] as const);
      try {
        await this[deed]();
        this.deeds[deed] = (this.deeds[deed] ?? 0) + 1;
      } catch {
        // Cut by the death, or overtaken by another worker: what holds is checked after the restart.
        await new Promise((settle) => void setTimeout(settle, 10));
      }
    }
  }

  private choose<T>(of: readonly T[]): T {
    return of[Math.floor(this.options.random() * of.length)] as T;
  }

  /** A machine takes a second where it is emulated: containers come more often. */
  private isolation(): string {
    return this.options.random() < 0.8 ? (this.options.usable[0] ?? "container") : this.choose(this.options.usable);
  }

  private async someOfOurs(all: boolean): Promise<string> {
    const found = await this.daemon.client.workloads.list({ all, filters: { label: ["chaos"] } });
    return this.choose(found).Id;
  }

  private async createAndStart(): Promise<void> {
    const code = Math.floor(this.options.random() * 100);
    const { workloads } = this.daemon.client;
    if ((await workloads.list({ all: true })).length > 12) return this.remove();
    const host = { Isolation: this.isolation(), NetworkMode: this.options.random() < 0.5 ? "none" : "bridge" };
    const { Id } = await workloads.create({ Image: "busybox", Cmd: ticking(code), Labels: { chaos: "1" }, HostConfig: host });
    this.ended.set(Id, code);
    if (this.options.random() < 0.8) await workloads.start(Id);
  }

  private async runAndRemove(): Promise<void> {
    const host = { Isolation: this.isolation(), AutoRemove: true };
    const run = await this.daemon.client.run({ Image: "busybox", Cmd: ["echo", "hi"], Labels: { chaos: "1" }, HostConfig: host });
    for await (const _chunk of run.output);
    await run.ended;
  }

  private async exec(): Promise<void> {
    const { execs } = this.daemon.client;
    const id = await execs.create(await this.someOfOurs(false), { Cmd: ["echo", "inside"], AttachStdout: true });
    for await (const _chunk of (await execs.start(id, { terminal: false })).output);
  }

  private async stop(): Promise<void> {
    const id = await this.someOfOurs(false);
    this.ended.delete(id);
    await this.daemon.client.workloads.stop(id, { timeoutSeconds: 0 });
  }

  private async remove(): Promise<void> {
    await this.daemon.client.workloads.remove(await this.someOfOurs(true), { force: true, volumes: true });
  }
}
