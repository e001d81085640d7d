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
  /** Live through everything: what is done in them is done by nobody else's leave. */
  readonly lasting: readonly string[];
}

/** What daemons have answered, and what was asked of them whether they answered or not: by these a later daemon is judged. */
export class Ledger {
  /** Exit codes that workloads must have once they ended by themselves. */
  readonly codes = new Map<string, number>();
  readonly created = new Set<string>();
  readonly started = new Set<string>();
  readonly stopAsked = new Set<string>();
  readonly removeAsked = new Set<string>();
  readonly removed = new Set<string>();
}

/** The label of what any worker may stop or remove; other workloads are looked after by the worker that made them. */
const ANYBODYS = { chaos: "anybody" };

export class Load {
  readonly ledger = new Ledger();
  private readonly daemon: TestDaemon;
  private readonly options: LoadOptions;
  private deeds: Record<string, number> = {};
  private faults: string[] = [];
  private working: Promise<void>[] = [];
  private over = false;

  constructor(daemon: TestDaemon, options: LoadOptions) {
    this.daemon = daemon;
    this.options = options;
  }

  begin(): void {
    this.over = false;
    this.deeds = {};
    this.faults = [];
    this.working = Array.from({ length: this.options.workers }, () => this.work());
  }

  /** After the daemon's death: every deed ends, for its connection did. Tells how many of each were carried out, and what was answered wrongly. */
  async end(): Promise<{ readonly deeds: Readonly<Record<string, number>>; readonly faults: readonly string[] }> {
    this.over = true;
    await Promise.all(this.working);
    return { deeds: this.deeds, faults: this.faults };
  }

  private async work(): Promise<void> {
    while (!this.over) {
      const deed = this.choose(["createAndStart", "createAndStart", "createAndStart", "runAndRemove", "exec", "exec", "stop", "remove", "remove"] as const);
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
    return this.options.random() < 0.7 ? (this.options.usable[0] ?? "container") : this.choose(this.options.usable);
  }

  private async anybodys(all: boolean): Promise<string> {
    const found = await this.daemon.client.workloads.list({ all, filters: { label: ["chaos=anybody"] } });
    return this.choose(found).Id;
  }

  private async createAndStart(): Promise<void> {
    const code = Math.floor(this.options.random() * 100);
    const { ledger } = this;
    const { workloads } = this.daemon.client;
    if ((await workloads.list({ all: true })).length > 12) return this.remove();
    const size = this.options.random() < 0.2 ? { StorageOpt: { size: "16m" } } : {};
    const host = { Isolation: this.isolation(), NetworkMode: this.options.random() < 0.5 ? "none" : "bridge", ...size };
    const { Id } = await workloads.create({ Image: "busybox", Cmd: ticking(code), Labels: ANYBODYS, HostConfig: host });
    ledger.codes.set(Id, code);
    ledger.created.add(Id);
    if (this.options.random() < 0.2) return;
    await workloads.start(Id);
    ledger.started.add(Id);
  }

  private async runAndRemove(): Promise<void> {
    const host = { Isolation: this.isolation(), AutoRemove: true };
    const command = { Cmd: ["sh", "-c", "echo hi; exit 3"], AttachStdout: true };
    const run = await this.daemon.client.run({ Image: "busybox", ...command, Labels: { chaos: "own" }, HostConfig: host });
    const said = await gather(run.output);
    const { code } = await run.ended;
    if (said !== "hi\n" || code !== 3) this.faults.push(`a run said ${JSON.stringify(said)} and ended with ${code}`);
  }

  private async exec(): Promise<void> {
    const { execs } = this.daemon.client;
    const id = await execs.create(this.choose(this.options.lasting), { Cmd: ["sh", "-c", "echo inside; exit 5"], AttachStdout: true });
    const said = await gather((await execs.start(id, { terminal: false })).output);
    const code = await execs.exitCode(id);
    if (said !== "inside\n" || code !== 5) this.faults.push(`an exec said ${JSON.stringify(said)} and ended with ${code}`);
  }

  private async stop(): Promise<void> {
    const id = await this.anybodys(false);
    this.ledger.stopAsked.add(id);
    await this.daemon.client.workloads.stop(id, { timeoutSeconds: 0 });
  }

  private async remove(): Promise<void> {
    const id = await this.anybodys(true);
    this.ledger.removeAsked.add(id);
    await this.daemon.client.workloads.remove(id, { force: true, volumes: true });
    this.ledger.removed.add(id);
  }
}

async function gather(output: AsyncIterable<{ readonly bytes: Uint8Array }>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const { bytes } of output) parts.push(bytes);
  return Buffer.concat(parts).toString("utf8");
}
