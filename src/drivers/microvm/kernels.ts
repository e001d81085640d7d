/** Which kernel machines boot: the operator's, else our own small one where it was built, else Debian's. `scripts/kernel` makes them. */

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { scriptCommand } from "../../host/program-home.ts";

export interface GuestKernel {
  readonly vmlinux: string;
  readonly initrd: string;
  /** Debian's finds its devices by ACPI alone; ours is told of them on its command line. */
  readonly needsAcpi: boolean;
}

export interface KernelPlaces {
  /** Where `scripts/kernel` keeps kernels. */
  readonly cache: string;
  /** Candidates for the guest's init, whose hash names the initrd. */
  readonly guestPrograms: readonly string[];
  /** The operator's own; both or neither. */
  readonly kernel?: string;
  readonly initrd?: string;
}

export type KernelSearch = { readonly kernel: GuestKernel } | { readonly missing: string; readonly remedy: string };

/** Makes whatever kernel can be had, for this program's own init. */
export const prepareCommand = (): string => scriptCommand("kernel/prepare.sh");

export function findKernel(places: KernelPlaces): KernelSearch {
  if ((places.kernel === undefined) !== (places.initrd === undefined)) {
    const [given, lacking] = places.kernel === undefined ? ["machine.initrd", "machine.kernel"] : ["machine.kernel", "machine.initrd"];
    return {
      missing: `the configuration names ${given} without ${lacking}`,
      remedy: `Name both, or neither: ${scriptCommand("kernel/initrd.sh")} makes an initrd that carries the agent`,
    };
  }
  if (places.kernel !== undefined && places.initrd !== undefined) {
    const absent = [places.kernel, places.initrd].find((path) => !existsSync(path));
    if (absent !== undefined)
      return { missing: `the configured guest kernel is not there: ${absent}`, remedy: "Mend machine.kernel and machine.initrd in the configuration" };
    return { kernel: { vmlinux: places.kernel, initrd: places.initrd, needsAcpi: true } };
  }
  const guest = places.guestPrograms.find((path) => existsSync(path));
  if (guest === undefined) return { missing: "the guest's init is not built", remedy: "npm run build" };
  const hash = createHash("sha256").update(readFileSync(guest)).digest("hex").slice(0, 16);
  for (const prefix of ["own-", "debian-"]) {
    for (const directory of newestFirst(places.cache, prefix)) {
      const found = { vmlinux: join(directory, "vmlinux"), initrd: join(directory, `initrd-${hash}`) };
      if (existsSync(found.vmlinux) && existsSync(found.initrd)) return { kernel: { ...found, needsAcpi: prefix === "debian-" } };
    }
  }
  return { missing: `no guest kernel with an initrd of this release lies in ${places.cache}`, remedy: prepareCommand() };
}

function newestFirst(cache: string, prefix: string): string[] {
  if (!existsSync(cache)) return [];
  const directories = readdirSync(cache).filter((name) => name.startsWith(prefix));
  return directories.map((name) => join(cache, name)).sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
}
