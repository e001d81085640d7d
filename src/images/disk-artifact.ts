/**
 * A disk as an OCI image: one layer that is the disk image itself, as it came, and a configuration whose root filesystem is of the type `disk`. So
 * it is tagged, saved, pushed, pulled and removed as every image is, and programs that know only layers refuse it by that type.
 */

import { Failure } from "../contract/failure.ts";
import type { Fields } from "./document.ts";
import type { Platform } from "./platform.ts";
import type { ImageRecord, LayerReference } from "./records.ts";

const TYPE = "application/vnd.bulkhead.disk.v1";

export const DISK_FORMATS = ["raw", "qcow2"] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];

/** What such an image's program is called: a machine runs what its disk boots, and nothing else. */
export const DISK_COMMAND = "/disk";

export function diskTypeOf(format: DiskFormat): string {
  return `${TYPE}+${format}`;
}

export function diskFormatOf(mediaType: string): DiskFormat | undefined {
  return DISK_FORMATS.find((format) => mediaType === diskTypeOf(format));
}

/** The layer that is the disk; undefined for an image of anything else. */
export function diskOf(image: ImageRecord): (LayerReference & { readonly format: DiskFormat }) | undefined {
  for (const layer of image.layers) {
    const format = diskFormatOf(layer.mediaType);
    if (format !== undefined) return { ...layer, format };
  }
  return undefined;
}

export function isDiskConfiguration(document: Fields): boolean {
  const { rootfs } = document;
  return typeof rootfs === "object" && rootfs !== null && (rootfs as Fields)["type"] === "disk";
}

/** Which of the formats that are taken in these first bytes begin. The launcher looks closer. */
export function formatOf(start: Uint8Array): DiskFormat {
  return start[0] === 0x51 && start[1] === 0x46 && start[2] === 0x49 && start[3] === 0xfb ? "qcow2" : "raw";
}

export function writeDiskConfiguration(
  digest: string,
  given: { readonly createdAt: string; readonly platform: Platform; readonly config: object; readonly comment: string },
): object {
  const { createdAt, platform, config, comment } = given;
  const history = [{ created: createdAt, created_by: "bulkhead import --disk", comment }];
  return { created: createdAt, ...platform, config, rootfs: { type: "disk", diff_ids: [digest] }, history };
}

export function refuseDisk(): Failure {
  return new Failure("UNSUPPORTED", "the image is a disk, which only a whole machine can boot", { remedy: "choose the isolation vm" });
}
