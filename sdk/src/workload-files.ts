/** Files of a workload, running or not, as tar archives: what `cp` is made of. Bytes flow as they are read; whoever stops reading ends it. */

import { Failure } from "./failure.ts";
import type { Transport } from "./transport.ts";
import type { Cancellable } from "./workloads.ts";

export interface PathStat {
  /** The path's last part. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly kind: "file" | "directory" | "symlink" | "device" | "other";
  /** Permissions with set-user-id, set-group-id and sticky bit, as `chmod` counts. */
  readonly permissions: number;
  /** RFC 3339. */
  readonly modifiedAt: string;
  /** Where a link leads in the end, from the root; empty for all else. */
  readonly linkTarget: string;
}

export interface WriteFilesOptions extends Cancellable {
  /** A directory is not replaced by what is none, nor the other way round: INVALID_SPEC then. */
  readonly keepKinds?: boolean;
  /** Docker's `copyUIDGID`. */
  readonly copyOwners?: boolean;
}

const STAT_HEADER = "x-docker-container-path-stat";

export class WorkloadFiles {
  private readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** Links are followed on the way, not in the last part. Rejects NOT_FOUND where nothing lies there, or there is no such workload. */
  async stat(reference: string, path: string, options: Cancellable = {}): Promise<PathStat> {
    const ask = { method: "HEAD", path: at(reference), query: { path }, signal: options.signal } as const;
    const { headers, bytes } = await this.transport.open(ask).catch((thrown: unknown) => {
      // An answer to HEAD has no words.
      if (!(thrown instanceof Failure) || thrown.code !== "NOT_FOUND") throw thrown;
      throw new Failure("NOT_FOUND", `nothing lies at ${JSON.stringify(path)} in ${reference}, or there is no such workload`, { status: 404, cause: thrown });
    });
    for await (const _ of bytes);
    return readStat(headers[STAT_HEADER]);
  }

  /** A tar of what lies there, with all below it; names begin with the path's last part, `.` where the path ends in `/.`. */
  async read(reference: string, path: string, options: Cancellable = {}): Promise<{ readonly stat: PathStat; readonly archive: AsyncIterable<Uint8Array> }> {
    const { headers, bytes } = await this.transport.open({ method: "GET", path: at(reference), query: { path }, signal: options.signal });
    return { stat: readStat(headers[STAT_HEADER]), archive: bytes };
  }

  /** Unpacks a tar, plain or compressed by gzip or zstd, into a directory that is there. What was written before a failure stays. */
  async write(reference: string, directory: string, archive: AsyncIterable<Uint8Array>, options: WriteFilesOptions = {}): Promise<void> {
    await this.transport.change({
      method: "PUT",
      path: at(reference),
      query: { path: directory, noOverwriteDirNonDir: options.keepKinds, copyUIDGID: options.copyOwners },
      headers: { "Content-Type": "application/x-tar" },
      bytes: archive,
      signal: options.signal,
    });
  }
}

const at = (reference: string): string => `/containers/${encodeURIComponent(reference)}/archive`;

/** Go's type bits, in which the daemon counts as Docker's does. */
const KINDS: readonly (readonly [bit: number, kind: PathStat["kind"]])[] = [
  [2 ** 31, "directory"],
  [2 ** 27, "symlink"],
  [2 ** 26, "device"],
  [2 ** 25, "other"],
  [2 ** 24, "other"],
];
const FLAGS: readonly (readonly [bit: number, permission: number])[] = [
  [2 ** 23, 0o4000],
  [2 ** 22, 0o2000],
  [2 ** 20, 0o1000],
];

function readStat(header: unknown): PathStat {
  try {
    const told = JSON.parse(Buffer.from(String(header), "base64").toString("utf8")) as Readonly<Record<string, unknown>>;
    const mode = Number(told["mode"]);
    const has = (bit: number): boolean => Math.floor(mode / bit) % 2 === 1;
    return {
      name: String(told["name"]),
      sizeBytes: Number(told["size"]),
      kind: KINDS.find(([bit]) => has(bit))?.[1] ?? "file",
      permissions: (mode & 0o777) + FLAGS.reduce((sum, [bit, permission]) => sum + (has(bit) ? permission : 0), 0),
      modifiedAt: String(told["mtime"]),
      linkTarget: typeof told["linkTarget"] === "string" ? told["linkTarget"] : "",
    };
  } catch (cause) {
    throw new Failure("CORRUPT_DATA", "the daemon did not say what lies at the path", { cause });
  }
}
