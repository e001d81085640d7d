/** The daemon itself and the host below it. */

import { filtersQuery, type BoundaryDocument, type EventDocument, type Filters, type VersionDocument } from "./documents.ts";
import { Failure } from "./failure.ts";
import type { ServerIdentity } from "./identity.ts";
import { readJsonLines } from "./json-lines.ts";
import type { Transport } from "./transport.ts";
import type { Cancellable } from "./workloads.ts";

/** One thing found out about the host by doing it. */
export interface Finding {
  readonly id: string;
  readonly level: "ok" | "note" | "warning" | "missing";
  readonly what: string;
  readonly remedy?: string;
}

export interface ProbeReport {
  readonly kind: string;
  readonly usable: boolean;
  readonly identity?: BoundaryDocument;
  readonly findings: readonly Finding[];
  readonly facets: readonly string[];
}

export interface TemplateDocument {
  readonly kind: string;
  readonly key: string;
  readonly directory: string;
}

export interface DoctorReport {
  readonly schemaVersion: number;
  readonly findings: readonly Finding[];
  readonly [field: string]: unknown;
}

export class System {
  private readonly transport: Transport;
  private readonly identity: ServerIdentity;

  constructor(transport: Transport, identity: ServerIdentity) {
    this.transport = transport;
    this.identity = identity;
  }

  /** Resolves with the server's own name (`Bulkhead/0.1.0 (linux)`) when it answers. */
  async ping(options: Cancellable = {}): Promise<string> {
    const answer = await this.transport.send({ method: "HEAD", path: "/_ping", signal: options.signal });
    answer.resume();
    return String(answer.headers.server ?? "");
  }

  version(options: Cancellable = {}): Promise<VersionDocument> {
    return this.transport.json({ method: "GET", path: "/version", signal: options.signal });
  }

  /** Rejects UNAUTHENTICATED where the registry refuses. The daemon keeps nothing of it. */
  async login(credentials: { readonly username: string; readonly password: string; readonly serveraddress: string }, options: Cancellable = {}): Promise<void> {
    await this.transport.json({ method: "POST", path: "/auth", body: credentials, signal: options.signal });
  }

  info(options: Cancellable = {}): Promise<Readonly<Record<string, unknown>>> {
    return this.transport.json({ method: "GET", path: "/info", signal: options.signal });
  }

  diskUse(options: Cancellable = {}): Promise<Readonly<Record<string, unknown>>> {
    return this.transport.json({ method: "GET", path: "/system/df", signal: options.signal });
  }

  /** Until the signal aborts, or `until` has passed. */
  async *events(
    options: { readonly since?: string | undefined; readonly until?: string | undefined; readonly filters?: Filters } & Cancellable = {},
  ): AsyncGenerator<EventDocument> {
    const query = { since: options.since, until: options.until, filters: filtersQuery(options.filters) };
    yield* readJsonLines<EventDocument>(await this.transport.stream({ method: "GET", path: "/events", query, signal: options.signal }));
  }

  /** What each boundary can do here. `fresh` looks again instead of remembering. */
  async probes(options: { readonly fresh?: boolean; readonly isolation?: string | undefined } & Cancellable = {}): Promise<readonly ProbeReport[]> {
    const query = { fresh: options.fresh, isolation: options.isolation };
    const answer = await this.transport.json<ProbeReport[] | { probes: ProbeReport[] }>({
      method: "GET",
      path: "/bulkhead/v1/probes",
      query,
      signal: options.signal,
    });
    return Array.isArray(answer) ? answer : (answer as { probes: ProbeReport[] }).probes;
  }

  /** Saved machines that others begin from; the daemon makes them by itself. */
  async templates(options: Cancellable = {}): Promise<readonly TemplateDocument[]> {
    const { templates } = await this.transport.json<{ templates: TemplateDocument[] }>({
      method: "GET",
      path: "/bulkhead/v1/templates",
      signal: options.signal,
    });
    return templates;
  }

  /** False where the operator switched them off: none will come. */
  async makesTemplates(options: Cancellable = {}): Promise<boolean> {
    const { enabled } = await this.transport.json<{ enabled?: boolean }>({ method: "GET", path: "/bulkhead/v1/templates", signal: options.signal });
    return enabled !== false;
  }

  /** What began from them goes on; others are made as they are wanted. */
  async removeTemplates(options: Cancellable = {}): Promise<void> {
    await this.transport.json({ method: "DELETE", path: "/bulkhead/v1/templates", signal: options.signal });
  }

  doctor(options: { readonly fresh?: boolean } & Cancellable = {}): Promise<DoctorReport> {
    return this.transport.json({ method: "GET", path: "/bulkhead/v1/doctor", query: { fresh: options.fresh }, signal: options.signal });
  }

  /**
   * Asks the daemon to stop, and resolves once it has taken that in; its process ends soon after. Workloads go on, unless `teardown` asks that
   * nothing be left on the host but files: no workload, bridge, firewall rule or control group, and no launcher.
   */
  async stop(options: { readonly teardown?: boolean } & Cancellable = {}): Promise<{ readonly pid: number }> {
    await this.identity.require("stop", options.signal);
    try {
      const query = options.teardown === true ? { teardown: true } : {};
      return await this.transport.json({ method: "POST", path: "/bulkhead/v1/shutdown", query, signal: options.signal });
    } catch (thrown) {
      if (!(thrown instanceof Failure) || thrown.code !== "NOT_FOUND") throw thrown;
      throw new Failure("UNSUPPORTED", "this daemon cannot be stopped over its socket", {
        remedy: "`systemctl stop bulkhead`, or send SIGTERM to its process",
      });
    }
  }

  /** Rejects DENIED_BY_POLICY where the server is not Bulkhead. */
  requireBulkhead(deed: string, options: Cancellable = {}): Promise<void> {
    return this.identity.require(deed, options.signal);
  }
}
