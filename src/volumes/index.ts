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
  create(options: { readonly name?: string; readonly labels?: Readonly<Record<string, string>> }, call: Call): Promise<VolumeView>;
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
}
