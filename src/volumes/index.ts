/** Volumes: named and anonymous directories of ours, bind mounts of the host's. This file is the whole face of the folder. */

import type { Call } from "../contract/call.ts";
import type { MountSpec } from "../contract/spec.ts";

export interface VolumeView {
  readonly name: string;
  readonly directory: string;
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly anonymous: boolean;
}

export interface Volumes {
  /** `madeFor` is the workload that an anonymous volume is made for: until `keep`, the volume goes when that workload never comes to be. */
  create(options: { readonly name?: string; readonly labels?: Readonly<Record<string, string>>; readonly madeFor?: string }, call: Call): Promise<VolumeView>;
  /** Gives an empty volume the files that an image has at `path`; `layers` uppermost first. A volume that holds something stays as it is. */
  fill(name: string, from: { readonly layers: readonly string[]; readonly path: string }, call: Call): Promise<void>;
  get(name: string): VolumeView;
  list(): readonly VolumeView[];
  /** Rejects WRONG_STATE where a workload uses it. */
  remove(name: string, call: Call): Promise<void>;
  /** Resolves a bind: the source exists afterwards, or it rejects INVALID_SPEC naming it. */
  bind(
    options: { readonly source: string; readonly target: string; readonly readOnly: boolean; readonly createSource: boolean },
    call: Call,
  ): Promise<Extract<MountSpec, { kind: "bind" }>>;
  hold(name: string, holder: string): void;
  release(holder: string): void;
  /** The workload goes and leaves its anonymous volumes behind: from now on they are nobody's. */
  keep(workload: string): void;
  /** The workload never came to be: lets go, and removes the anonymous volumes that were made for it. */
  abandon(workload: string, call: Call): Promise<void>;
  /** After a crash: removes directories that no record names, and anonymous volumes made for workloads that are not there. */
  sweep(isThere: (workload: string) => boolean, call: Call): Promise<void>;
  /** Bytes on disk of each of these, in their order. */
  diskUse(names: readonly string[], call: Call): Promise<readonly number[]>;
}
