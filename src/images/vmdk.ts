/**
 * A drive joined from files: a VMDK descriptor (VMware Virtual Disk Format 5.0, "The Descriptor") with flat extents. QEMU presents them as
 * one disk, so that an image takes one device however many layers it has, and each layer's file is stored once.
 *
 *     extents      zeros (1 MiB)   layer 0 (lowest)   layer 1   …
 *
 * The zeros keep the drive's beginning free of anything that firmware or a kernel could take for a partition table.
 */

export const SECTOR_BYTES = 512;
export const HEADER_BYTES = 1024 * 1024;

export interface Extent {
  readonly path: string;
  /** A multiple of 512. */
  readonly lengthBytes: number;
}

export interface Drive {
  readonly descriptor: string;
  /** Of each extent given, in the same order. */
  readonly offsetsBytes: readonly number[];
}

/** Paths are absolute and may hold neither quotes nor line breaks: they are the store's own. */
export function joinExtents(header: string, extents: readonly Extent[]): Drive {
  const offsetsBytes: number[] = [];
  let end = HEADER_BYTES;
  for (const { path, lengthBytes } of extents) {
    if (lengthBytes <= 0 || lengthBytes % SECTOR_BYTES !== 0) throw new RangeError(`${path} has ${lengthBytes} bytes, which are not whole sectors`);
    offsetsBytes.push(end);
    end += lengthBytes;
  }
  const lines = [{ path: header, lengthBytes: HEADER_BYTES }, ...extents].map(
    ({ path, lengthBytes }) => `RW ${lengthBytes / SECTOR_BYTES} FLAT "${quotable(path)}" 0`,
  );
  const cylinders = Math.ceil(end / SECTOR_BYTES / (16 * 63));
  // No blank line before the first extent: QEMU 7.2 would take that extent twice.
  const descriptor = [
    "# Disk DescriptorFile",
    "version=1",
    "CID=fffffffe",
    "parentCID=ffffffff",
    'createType="monolithicFlat"',
    "# Extent description",
    ...lines,
    "# The Disk Data Base",
    "#DDB",
    'ddb.virtualHWVersion = "4"',
    `ddb.geometry.cylinders = "${cylinders}"`,
    'ddb.geometry.heads = "16"',
    'ddb.geometry.sectors = "63"',
    'ddb.adapterType = "ide"',
    "",
  ].join("\n");
  return { descriptor, offsetsBytes };
}

function quotable(path: string): string {
  if (!/["\n\r]/.test(path)) return path;
  throw new RangeError(`${JSON.stringify(path)} cannot stand in a drive's descriptor`);
}
