/** Manifests and indexes, of OCI (image specification) and Docker (image manifest version 2, schema 2). */

import { Failure } from "../contract/failure.ts";
import { parseDigest } from "./digest.ts";
import { diskFormatOf } from "./disk-artifact.ts";
import { asFields, asShortList, type Fields, optionalNumber, optionalString, parseDocument } from "./document.ts";
import type { Platform } from "./platform.ts";
import { isModuleType } from "./wasm-artifact.ts";

export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

/** One page of mount options names about 220 layers; an index names an image per platform. */
const MAX_LAYERS = 200;
const MAX_PLATFORMS = 1000;

export const MEDIA = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  configuration: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
  dockerIndex: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
} as const;

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly platform?: Platform;
  readonly annotations: Fields;
}

export type Manifest =
  | { readonly kind: "image"; readonly mediaType: string; readonly configuration: Descriptor; readonly layers: readonly Descriptor[] }
  | { readonly kind: "index"; readonly mediaType: string; readonly manifests: readonly Descriptor[] };

/** Rejects CORRUPT_DATA, UNSUPPORTED for schema 1 and for artifacts that are no image. `mediaType` is what the sender called it. */
export function parseManifest(bytes: Uint8Array, mediaType?: string): Manifest {
  if (bytes.length > MAX_MANIFEST_BYTES) throw new Failure("CORRUPT_DATA", `the manifest has ${bytes.length} bytes; ${MAX_MANIFEST_BYTES} are allowed`);
  const document = parseDocument(bytes, "the manifest");
  const type = optionalString(document.mediaType, "mediaType") ?? mediaType?.split(";")[0]?.trim() ?? "";
  if (document.schemaVersion === 1 || type.includes("docker.distribution.manifest.v1+")) {
    throw new Failure("UNSUPPORTED", "the image has a manifest of schema version 1, which no current registry writes", {
      remedy: "push the image again with a current client",
    });
  }
  if (document.schemaVersion !== 2)
    throw new Failure("CORRUPT_DATA", `the manifest has schema version ${JSON.stringify(document.schemaVersion)?.slice(0, 40)}`);
  if (document.manifests !== undefined && document.layers !== undefined) {
    throw new Failure("CORRUPT_DATA", "the manifest is an index and an image at once");
  }
  if (document.manifests !== undefined) {
    return {
      kind: "index",
      mediaType: type || MEDIA.index,
      manifests: asShortList(document.manifests, "the index", MAX_PLATFORMS).map((item) => readDescriptor(item, "a manifest")),
    };
  }
  const layers = asShortList(document.layers, "the manifest's list of layers", MAX_LAYERS).map((layer) => readDescriptor(layer, "a layer"));
  const foreign = layers.find(
    (layer) => !(/\.tar(?:[.+]|$)/.test(layer.mediaType) || isModuleType(layer.mediaType) || diskFormatOf(layer.mediaType) !== undefined),
  );
  if (foreign !== undefined) {
    throw new Failure("UNSUPPORTED", `the image has a layer of type ${JSON.stringify(foreign.mediaType.slice(0, 100))}`, { remedy: "name an image of layers" });
  }
  return { kind: "image", mediaType: type || MEDIA.manifest, configuration: readDescriptor(document.config, "the configuration"), layers };
}

export function readDescriptor(value: unknown, what: string): Descriptor {
  const fields = asFields(value, `${what} in the manifest`);
  const sizeBytes = optionalNumber(fields.size, `${what}'s size`);
  if (sizeBytes === undefined) throw new Failure("CORRUPT_DATA", `${what} in the manifest has no size`);
  const platform = readPlatform(fields.platform);
  return {
    mediaType: optionalString(fields.mediaType, `${what}'s type`) ?? "",
    digest: parseDigest(fields.digest, what),
    sizeBytes,
    ...(platform === undefined ? {} : { platform }),
    annotations: asFields(fields.annotations ?? {}, `${what}'s annotations`),
  };
}

function readPlatform(value: unknown): Platform | undefined {
  if (value === undefined || value === null) return undefined;
  const fields = asFields(value, "a platform in the index");
  const variant = optionalString(fields.variant, "variant");
  return {
    os: optionalString(fields.os, "os") ?? "",
    architecture: optionalString(fields.architecture, "architecture") ?? "",
    ...(variant === undefined ? {} : { variant }),
  };
}

/** The bytes of an OCI manifest over these parts. */
export function writeManifest(configuration: Omit<Descriptor, "annotations">, layers: readonly Omit<Descriptor, "annotations">[]): Buffer {
  const plain = ({ mediaType, digest, sizeBytes }: Omit<Descriptor, "annotations">) => ({ mediaType, digest, size: sizeBytes });
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.manifest, config: plain(configuration), layers: layers.map(plain) }));
}
