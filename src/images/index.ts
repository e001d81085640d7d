/**
 * Images: references, a content-addressed store, pull, load, import, and the root forms that boundaries want.
 * This file is the whole face of the folder.
 */

import type { RootForm } from "../contract/boundary.ts";
import type { Call } from "../contract/call.ts";
import type { RootSource } from "../contract/spec.ts";
import type { ImageContents } from "./contents.ts";

/** The part of an OCI image configuration that a run needs. */
export interface ImageConfiguration {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  /** The image is a disk, for machines to boot. */
  readonly disk?: true;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `80/tcp`. */
  readonly exposedPorts: readonly string[];
  readonly volumes: readonly string[];
  readonly stopSignal?: string;
  readonly healthCheck?: {
    readonly test: readonly string[];
    readonly intervalNs?: number;
    readonly timeoutNs?: number;
    readonly startPeriodNs?: number;
    readonly retries?: number;
  };
}

export interface ImageView {
  /** `sha256:…` of the configuration, as Docker counts. */
  readonly id: string;
  /** Familiar form with tag: `busybox:latest`, `localhost:5000/app:1`. */
  readonly tags: readonly string[];
  /** `name@sha256:…`. */
  readonly digests: readonly string[];
  readonly createdAt: string;
  /** Unpacked bytes. */
  readonly sizeBytes: number;
  readonly configuration: ImageConfiguration;
  /** The configuration document as it was received. */
  readonly document: unknown;
  /** Uncompressed digests, lowest first. */
  readonly diffIds: readonly string[];
  readonly history: readonly {
    readonly created?: string;
    readonly createdBy?: string;
    readonly comment?: string;
    readonly emptyLayer: boolean;
    readonly sizeBytes: number;
  }[];
}

/** Progress in words that a terminal can show: one line per layer. */
export interface TransferProgress {
  readonly layer?: string;
  readonly status: string;
  readonly current?: number;
  readonly total?: number;
}

export interface RegistryCredentials {
  readonly username?: string;
  readonly password?: string;
  readonly identityToken?: string;
  readonly registryToken?: string;
}

export interface Images {
  /** By reference, by id, or by an unambiguous beginning of an id. Rejects NOT_FOUND `No such image: x:y`. Synchronous: read from memory. */
  get(reference: string): ImageView;
  list(): readonly ImageView[];
  tag(source: string, target: string): Promise<void>;
  /** Untags, and deletes what then has no tag. Rejects WRONG_STATE where a workload holds it, unless forced and only a tag goes. */
  remove(
    reference: string,
    options: { readonly force: boolean; readonly prune: boolean },
  ): Promise<readonly { readonly untagged?: string; readonly deleted?: string }[]>;
  pull(
    reference: string,
    options: { readonly platform?: string; readonly credentials?: RegistryCredentials; readonly progress: (step: TransferProgress) => void },
    call: Call,
  ): Promise<ImageView>;
  /** Shows credentials to a registry. Rejects UNAUTHENTICATED where it refuses them. */
  checkLogin(server: string, credentials: RegistryCredentials, call: Call): Promise<void>;
  push(
    reference: string,
    options: { readonly credentials?: RegistryCredentials; readonly progress: (step: TransferProgress) => void },
    call: Call,
  ): Promise<{ readonly digest: string; readonly sizeBytes: number }>;
  /** `docker save` archives and OCI layouts, compressed or not. */
  load(archive: AsyncIterable<Uint8Array>, options: { readonly progress: (step: TransferProgress) => void }, call: Call): Promise<readonly ImageView[]>;
  /** A root filesystem as one layer; with `disk` a disk image (raw or qcow2), for machines to boot. Rejects UNSUPPORTED for one that names other files of the host. */
  import(
    archive: AsyncIterable<Uint8Array>,
    options: {
      readonly reference?: string;
      readonly changes: readonly string[];
      readonly message?: string;
      readonly platform?: string;
      readonly disk?: boolean;
    },
    call: Call,
  ): Promise<ImageView>;
  /** A `docker save` archive that is an OCI layout as well. */
  save(references: readonly string[], call: Call): AsyncIterable<Uint8Array>;

  /** The image's files in the form that a boundary wants; made on first use, shared between workloads and images. */
  root(imageId: string, form: RootForm, call: Call): Promise<RootSource>;
  /** What its files say of its needs; read once, and nothing for a disk or a module. Rejects INTERNAL where its layers cannot be read. */
  contents(imageId: string): Promise<ImageContents>;
  /** Marks an image as used, so that it cannot be deleted; released with the workload. */
  hold(imageId: string, holder: string): void;
  release(holder: string): void;
  /** Resolves when the disk has everything that was pulled, loaded and imported until now, or has refused it. */
  settled(): Promise<void>;
  /** Deletes blobs and layers that nothing names and nobody is fetching. */
  collect(call: Call): Promise<{ readonly freedBytes: number; readonly removed: readonly string[] }>;
}

export { openImages, type ImagesOptions } from "./store.ts";
export type { ImageContents } from "./contents.ts";
