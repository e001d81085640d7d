/**
 * WebAssembly as an OCI artifact, as CNCF's working group lays it down (tag-runtime, "WASM OCI Artifact layout"): one layer that is the
 * module or component itself, and a small configuration. Older clients spell the layer's type differently.
 */

import type { Fields } from "./document.ts";
import type { ImageRecord } from "./records.ts";

export const MODULE_MEDIA = { configuration: "application/vnd.wasm.config.v0+json", module: "application/wasm" } as const;

const MODULE_TYPES: readonly string[] = [
  MODULE_MEDIA.module,
  "application/vnd.wasm.content.layer.v1+wasm",
  "application/vnd.module.wasm.content.layer.v1+wasm",
];

/** What such an image's program is called where nobody names it: its first argument. */
export const MODULE_COMMAND = "/module.wasm";

export function isModuleType(mediaType: string): boolean {
  return MODULE_TYPES.includes(mediaType);
}

/** The digest of the module that an image is; undefined for an image of layers. */
export function moduleOf(image: ImageRecord): string | undefined {
  return image.layers.find(({ mediaType }) => isModuleType(mediaType))?.digest;
}

export function isModuleConfiguration(document: Fields): boolean {
  return document.rootfs === undefined && document.layerDigests !== undefined;
}

/** Every wasm binary, module or component, begins so. */
export function isModule(start: Uint8Array): boolean {
  return start[0] === 0 && start[1] === 0x61 && start[2] === 0x73 && start[3] === 0x6d;
}

export function writeModuleConfiguration(digest: string, createdAt: string): object {
  return { created: createdAt, architecture: "wasm", os: "wasip1", layerDigests: [digest] };
}
