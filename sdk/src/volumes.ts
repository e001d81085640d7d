/** Named and anonymous volumes. */

import { filtersQuery, type Filters } from "./documents.ts";
import type { ServerIdentity } from "./identity.ts";
import type { Transport } from "./transport.ts";
import type { Cancellable } from "./workloads.ts";

export interface VolumeDocument {
  readonly Name: string;
  readonly Driver: string;
  readonly Mountpoint: string;
  readonly CreatedAt?: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Scope: string;
}

export class Volumes {
  private readonly transport: Transport;
  private readonly identity: ServerIdentity;

  constructor(transport: Transport, identity: ServerIdentity) {
    this.transport = transport;
    this.identity = identity;
  }

  async list(options: { readonly filters?: Filters } & Cancellable = {}): Promise<readonly VolumeDocument[]> {
    const query = { filters: filtersQuery(options.filters) };
    const answer = await this.transport.json<{ Volumes: VolumeDocument[] | null }>({ method: "GET", path: "/volumes", query, signal: options.signal });
    return answer.Volumes ?? [];
  }

  inspect(name: string, options: Cancellable = {}): Promise<VolumeDocument> {
    return this.transport.json({ method: "GET", path: `/volumes/${encodeURIComponent(name)}`, signal: options.signal });
  }

  /** Without a name the daemon chooses one. */
  create(options: { readonly name?: string | undefined; readonly labels?: Readonly<Record<string, string>> } & Cancellable = {}): Promise<VolumeDocument> {
    const body = { Name: options.name ?? "", Labels: options.labels ?? {} };
    return this.transport.json({ method: "POST", path: "/volumes/create", body, signal: options.signal });
  }

  async remove(name: string, options: { readonly force?: boolean } & Cancellable = {}): Promise<void> {
    await this.identity.require(`remove the volume ${name}`, options.signal);
    const path = `/volumes/${encodeURIComponent(name)}`;
    await this.transport.change({ method: "DELETE", path, query: { force: options.force }, signal: options.signal });
  }

  async prune(
    options: { readonly filters?: Filters } & Cancellable = {},
  ): Promise<{ readonly VolumesDeleted: readonly string[] | null; readonly SpaceReclaimed: number }> {
    await this.identity.require("remove unused volumes", options.signal);
    return this.transport.json({ method: "POST", path: "/volumes/prune", query: { filters: filtersQuery(options.filters) }, signal: options.signal });
  }
}
