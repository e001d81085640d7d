/** Networks that workloads join. */

import { filtersQuery, type Filters } from "./documents.ts";
import type { ServerIdentity } from "./identity.ts";
import type { Transport } from "./transport.ts";
import type { Cancellable } from "./workloads.ts";

export interface NetworkDocument {
  readonly Id: string;
  readonly Name: string;
  readonly Driver: string;
  readonly Scope: string;
  readonly Created: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly [field: string]: unknown;
}

export class Networks {
  private readonly transport: Transport;
  private readonly identity: ServerIdentity;

  constructor(transport: Transport, identity: ServerIdentity) {
    this.transport = transport;
    this.identity = identity;
  }

  list(options: { readonly filters?: Filters } & Cancellable = {}): Promise<NetworkDocument[]> {
    return this.transport.json({ method: "GET", path: "/networks", query: { filters: filtersQuery(options.filters) }, signal: options.signal });
  }

  inspect(reference: string, options: Cancellable = {}): Promise<NetworkDocument> {
    return this.transport.json({ method: "GET", path: `/networks/${encodeURIComponent(reference)}`, signal: options.signal });
  }

  async create(
    name: string,
    options: { readonly driver?: string | undefined; readonly labels?: Readonly<Record<string, string>>; readonly internal?: boolean } & Cancellable = {},
  ): Promise<string> {
    const body = { Name: name, Driver: options.driver ?? "bridge", Labels: options.labels ?? {}, Internal: options.internal ?? false };
    const made = await this.transport.json<{ Id: string }>({ method: "POST", path: "/networks/create", body, signal: options.signal });
    return made.Id;
  }

  async remove(reference: string, options: Cancellable = {}): Promise<void> {
    await this.identity.require(`remove the network ${reference}`, options.signal);
    await this.transport.change({ method: "DELETE", path: `/networks/${encodeURIComponent(reference)}`, signal: options.signal });
  }

  async prune(options: { readonly filters?: Filters } & Cancellable = {}): Promise<{ readonly NetworksDeleted: readonly string[] | null }> {
    await this.identity.require("remove unused networks", options.signal);
    return this.transport.json({ method: "POST", path: "/networks/prune", query: { filters: filtersQuery(options.filters) }, signal: options.signal });
  }
}
