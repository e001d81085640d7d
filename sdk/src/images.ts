/** Images: what workloads are made of. */

import { filtersQuery, type Filters, type ImageHistoryEntry, type ImageSummary, type ProgressLine } from "./documents.ts";
import { Failure, failureFromDocument } from "./failure.ts";
import type { ServerIdentity } from "./identity.ts";
import { readJsonLines } from "./json-lines.ts";
import { pathPart, type Transport } from "./transport.ts";
import type { Cancellable } from "./workloads.ts";

export interface TransferOptions extends Cancellable {
  /** `X-Registry-Auth`: base64url of the credentials' JSON. */
  readonly registryAuth?: string | undefined;
  readonly platform?: string | undefined;
}

export class Images {
  private readonly transport: Transport;
  private readonly identity: ServerIdentity;

  constructor(transport: Transport, identity: ServerIdentity) {
    this.transport = transport;
    this.identity = identity;
  }

  list(options: { readonly all?: boolean; readonly filters?: Filters; readonly digests?: boolean } & Cancellable = {}): Promise<ImageSummary[]> {
    const query = { all: options.all, digests: options.digests, filters: filtersQuery(options.filters) };
    return this.transport.json({ method: "GET", path: "/images/json", query, signal: options.signal });
  }

  inspect(reference: string, options: Cancellable = {}): Promise<Readonly<Record<string, unknown>>> {
    return this.transport.json({ method: "GET", path: `/images/${pathPart(reference)}/json`, signal: options.signal });
  }

  async exists(reference: string, options: Cancellable = {}): Promise<boolean> {
    try {
      await this.inspect(reference, options);
      return true;
    } catch (thrown) {
      if (thrown instanceof Failure && thrown.code === "NOT_FOUND") return false;
      throw thrown;
    }
  }

  history(reference: string, options: Cancellable = {}): Promise<ImageHistoryEntry[]> {
    return this.transport.json({ method: "GET", path: `/images/${pathPart(reference)}/history`, signal: options.signal });
  }

  /** Progress, line by line. Rejects with the line that says `error`. A reference without tag means `latest`. */
  async *pull(reference: string, options: TransferOptions = {}): AsyncGenerator<ProgressLine> {
    const { name, tag } = splitReference(reference);
    const query = { fromImage: name, tag: tag ?? "latest", platform: options.platform };
    yield* this.progress("/images/create", query, options);
  }

  async *push(reference: string, options: TransferOptions = {}): AsyncGenerator<ProgressLine> {
    const { name, tag } = splitReference(reference);
    yield* this.progress(`/images/${pathPart(name)}/push`, { tag: tag ?? "latest" }, options);
  }

  async *load(archive: AsyncIterable<Uint8Array>, options: { readonly quiet?: boolean } & Cancellable = {}): AsyncGenerator<ProgressLine> {
    const headers = { "Content-Type": "application/x-tar" };
    const query = { quiet: options.quiet };
    yield* failing(
      readJsonLines<ProgressLine>(
        await this.transport.stream({ method: "POST", path: "/images/load", query, headers, bytes: archive, signal: options.signal }),
      ),
    );
  }

  /** A root filesystem as an image of one layer. */
  async *import(
    archive: AsyncIterable<Uint8Array>,
    options: {
      readonly reference?: string | undefined;
      readonly changes?: readonly string[];
      readonly message?: string | undefined;
      readonly platform?: string | undefined;
      /** What is given is a disk image (raw or qcow2), for whole machines to boot. */
      readonly disk?: boolean;
    } & Cancellable = {},
  ): AsyncGenerator<ProgressLine> {
    const { name, tag } = options.reference === undefined ? { name: undefined, tag: undefined } : splitReference(options.reference);
    const query = { fromSrc: "-", repo: name, tag, changes: options.changes, message: options.message, platform: options.platform, disk: options.disk };
    const headers = { "Content-Type": options.disk === true ? "application/octet-stream" : "application/x-tar" };
    yield* failing(
      readJsonLines<ProgressLine>(
        await this.transport.stream({ method: "POST", path: "/images/create", query, headers, bytes: archive, signal: options.signal }),
      ),
    );
  }

  /** A `docker save` archive of these images. */
  save(references: readonly string[], options: Cancellable = {}): Promise<AsyncIterable<Uint8Array>> {
    return this.transport.stream({ method: "GET", path: "/images/get", query: { names: references }, signal: options.signal });
  }

  async tag(source: string, target: string, options: Cancellable = {}): Promise<void> {
    const { name, tag } = splitReference(target);
    await this.transport.change({
      method: "POST",
      path: `/images/${pathPart(source)}/tag`,
      query: { repo: name, tag: tag ?? "latest" },
      signal: options.signal,
    });
  }

  async remove(
    reference: string,
    options: { readonly force?: boolean; readonly noPrune?: boolean } & Cancellable = {},
  ): Promise<{ readonly Untagged?: string; readonly Deleted?: string }[]> {
    await this.identity.require(`remove the image ${reference}`, options.signal);
    const query = { force: options.force, noprune: options.noPrune };
    return this.transport.json({ method: "DELETE", path: `/images/${pathPart(reference)}`, query, signal: options.signal });
  }

  async prune(
    options: { readonly filters?: Filters } & Cancellable = {},
  ): Promise<{ readonly ImagesDeleted: readonly { readonly Untagged?: string; readonly Deleted?: string }[] | null; readonly SpaceReclaimed: number }> {
    await this.identity.require("remove unused images", options.signal);
    return this.transport.json({ method: "POST", path: "/images/prune", query: { filters: filtersQuery(options.filters) }, signal: options.signal });
  }

  private async *progress(path: string, query: Readonly<Record<string, string | undefined>>, options: TransferOptions): AsyncGenerator<ProgressLine> {
    const headers = { "X-Registry-Auth": options.registryAuth ?? "e30=" };
    yield* failing(readJsonLines<ProgressLine>(await this.transport.stream({ method: "POST", path, query, headers, signal: options.signal })));
  }
}

async function* failing(lines: AsyncIterable<ProgressLine>): AsyncGenerator<ProgressLine> {
  for await (const line of lines) {
    if (line.error !== undefined || line.errorDetail !== undefined) throw failureFromDocument({ message: line.error, ...line.errorDetail, ...line.failure });
    yield line;
  }
}

/** `localhost:5000/app:1` is the name `localhost:5000/app` with the tag `1`; a digest counts as the tag, as Docker's API has it. */
export function splitReference(reference: string): { readonly name: string; readonly tag: string | undefined } {
  const at = reference.indexOf("@");
  if (at >= 0) return { name: reference.slice(0, at).replace(/:[^/:]*$/, ""), tag: reference.slice(at + 1) };
  const colon = reference.lastIndexOf(":");
  if (colon > reference.lastIndexOf("/")) return { name: reference.slice(0, colon), tag: reference.slice(colon + 1) };
  return { name: reference, tag: undefined };
}
