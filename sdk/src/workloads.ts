/** Workloads: what Docker's API calls containers, behind any boundary. */

import { attachedOf, type Attached } from "./attached.ts";
import { filtersQuery, type CreateDocument, type Filters, type StatsDocument, type WorkloadDocument, type WorkloadSummary } from "./documents.ts";
import type { ServerIdentity } from "./identity.ts";
import { readJsonLines } from "./json-lines.ts";
import { demultiplex, plainOutput, type OutputChunk } from "./multiplex.ts";
import type { Query, Transport } from "./transport.ts";

export interface Cancellable {
  readonly signal?: AbortSignal | undefined;
}

export interface AttachOptions extends Cancellable {
  readonly stdin: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  /** Whether the workload has a terminal: its output then comes unmarked. */
  readonly terminal: boolean;
  /** What was logged so far comes first. */
  readonly logs?: boolean;
}

export interface LogOptions extends Cancellable {
  readonly follow?: boolean;
  readonly timestamps?: boolean;
  /** Lines from the end; absent is all. */
  readonly tail?: number | undefined;
  /** Seconds since the epoch with up to nine digits after the point. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  readonly terminal: boolean;
}

export interface StopOptions extends Cancellable {
  readonly timeoutSeconds?: number | undefined;
  readonly killSignal?: string | undefined;
}

export class Workloads {
  private readonly transport: Transport;
  private readonly identity: ServerIdentity;

  constructor(transport: Transport, identity: ServerIdentity) {
    this.transport = transport;
    this.identity = identity;
  }

  list(
    options: { readonly all?: boolean; readonly limit?: number; readonly size?: boolean; readonly filters?: Filters } & Cancellable = {},
  ): Promise<WorkloadSummary[]> {
    const query = { all: options.all, limit: options.limit, size: options.size, filters: filtersQuery(options.filters) };
    return this.transport.json({ method: "GET", path: "/containers/json", query, signal: options.signal });
  }

  inspect(reference: string, options: { readonly size?: boolean } & Cancellable = {}): Promise<WorkloadDocument> {
    return this.transport.json({ method: "GET", path: at(reference, "json"), query: { size: options.size }, signal: options.signal });
  }

  /** Rejects NOT_FOUND where the image is not there, ALREADY_EXISTS for a name that is taken. */
  create(
    document: CreateDocument,
    options: { readonly name?: string | undefined; readonly platform?: string | undefined } & Cancellable = {},
  ): Promise<{ readonly Id: string; readonly Warnings: readonly string[] | null }> {
    const query = { name: options.name, platform: options.platform };
    return this.transport.json({ method: "POST", path: "/containers/create", query, body: document, signal: options.signal });
  }

  /** False where it already ran. */
  start(reference: string, options: { readonly detachKeys?: string | undefined } & Cancellable = {}): Promise<boolean> {
    return this.transport.change({ method: "POST", path: at(reference, "start"), query: { detachKeys: options.detachKeys }, signal: options.signal });
  }

  /** False where it did not run. */
  async stop(reference: string, options: StopOptions = {}): Promise<boolean> {
    await this.identity.require(`stop ${reference}`, options.signal);
    return this.transport.change({ method: "POST", path: at(reference, "stop"), query: stopQuery(options), signal: options.signal });
  }

  async restart(reference: string, options: StopOptions = {}): Promise<void> {
    await this.identity.require(`restart ${reference}`, options.signal);
    await this.transport.change({ method: "POST", path: at(reference, "restart"), query: stopQuery(options), signal: options.signal });
  }

  /** `signalName` is `SIGTERM` and the like, or a number in text. */
  async kill(reference: string, signalName = "SIGKILL", options: Cancellable = {}): Promise<void> {
    await this.identity.require(`kill ${reference}`, options.signal);
    await this.transport.change({ method: "POST", path: at(reference, "kill"), query: { signal: signalName }, signal: options.signal });
  }

  async remove(reference: string, options: { readonly force?: boolean; readonly volumes?: boolean } & Cancellable = {}): Promise<void> {
    await this.identity.require(`remove ${reference}`, options.signal);
    const query = { force: options.force, v: options.volumes };
    await this.transport.change({ method: "DELETE", path: at(reference), query, signal: options.signal });
  }

  async pause(reference: string, options: Cancellable = {}): Promise<void> {
    await this.transport.change({ method: "POST", path: at(reference, "pause"), signal: options.signal });
  }

  async unpause(reference: string, options: Cancellable = {}): Promise<void> {
    await this.transport.change({ method: "POST", path: at(reference, "unpause"), signal: options.signal });
  }

  async rename(reference: string, name: string, options: Cancellable = {}): Promise<void> {
    await this.transport.change({ method: "POST", path: at(reference, "rename"), query: { name }, signal: options.signal });
  }

  update(reference: string, change: Readonly<Record<string, unknown>>, options: Cancellable = {}): Promise<{ readonly Warnings: readonly string[] | null }> {
    return this.transport.json({ method: "POST", path: at(reference, "update"), body: change, signal: options.signal });
  }

  /**
   * Registered once the promise of `registered` resolves: begin to wait, then start. `ended` settles when the condition
   * is met, whenever that is: give a signal where you want a limit.
   */
  async wait(
    reference: string,
    options: { readonly condition?: "not-running" | "next-exit" | "removed" } & Cancellable = {},
  ): Promise<{ readonly ended: Promise<{ readonly StatusCode: number; readonly Error?: { readonly Message: string } | null }> }> {
    const query = { condition: options.condition };
    const body = await this.transport.stream({ method: "POST", path: at(reference, "wait"), query, signal: options.signal });
    const ended = (async () => {
      const parts: Uint8Array[] = [];
      for await (const part of body) parts.push(part);
      return JSON.parse(Buffer.concat(parts).toString("utf8")) as { StatusCode: number };
    })();
    ended.catch(() => undefined); // whoever awaits it hears of it; nobody else needs to
    return { ended };
  }

  async attach(reference: string, options: AttachOptions): Promise<Attached> {
    const query = { stream: true, stdin: options.stdin, stdout: options.stdout ?? true, stderr: options.stderr ?? true, logs: options.logs };
    const hijacked = await this.transport.hijack({ method: "POST", path: at(reference, "attach"), query, signal: options.signal });
    return attachedOf(hijacked, options.terminal);
  }

  async resizeTerminal(reference: string, size: { readonly rows: number; readonly columns: number }, options: Cancellable = {}): Promise<void> {
    const query = { h: size.rows, w: size.columns };
    await this.transport.change({ method: "POST", path: at(reference, "resize"), query, signal: options.signal });
  }

  /** What was written so far, and with `follow` what is written until it ends. */
  async *logs(reference: string, options: LogOptions): AsyncGenerator<OutputChunk> {
    const query: Query = {
      stdout: options.stdout ?? true,
      stderr: options.stderr ?? true,
      follow: options.follow,
      timestamps: options.timestamps,
      tail: options.tail === undefined ? "all" : options.tail,
      since: options.since,
      until: options.until,
    };
    const body = await this.transport.stream({ method: "GET", path: at(reference, "logs"), query, signal: options.signal });
    yield* options.terminal ? plainOutput(body) : demultiplex(body);
  }

  /** One document a second until it ends, or a single one. */
  async *stats(reference: string, options: { readonly stream: boolean; readonly oneShot?: boolean } & Cancellable): AsyncGenerator<StatsDocument> {
    const query = { stream: options.stream, "one-shot": options.oneShot };
    const body = await this.transport.stream({ method: "GET", path: at(reference, "stats"), query, signal: options.signal });
    yield* readJsonLines<StatsDocument>(body);
  }

  top(
    reference: string,
    options: { readonly psArguments?: string | undefined } & Cancellable = {},
  ): Promise<{ readonly Titles: readonly string[]; readonly Processes: readonly (readonly string[])[] }> {
    return this.transport.json({ method: "GET", path: at(reference, "top"), query: { ps_args: options.psArguments }, signal: options.signal });
  }

  async prune(
    options: { readonly filters?: Filters } & Cancellable = {},
  ): Promise<{ readonly ContainersDeleted: readonly string[] | null; readonly SpaceReclaimed: number }> {
    await this.identity.require("remove stopped workloads", options.signal);
    return this.transport.json({ method: "POST", path: "/containers/prune", query: { filters: filtersQuery(options.filters) }, signal: options.signal });
  }
}

function at(reference: string, action?: string): string {
  const base = `/containers/${encodeURIComponent(reference)}`;
  return action === undefined ? base : `${base}/${action}`;
}

function stopQuery(options: StopOptions): Query {
  return { t: options.timeoutSeconds, signal: options.killSignal };
}
