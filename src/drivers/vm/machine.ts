/**
 * The machine monitor's command line for a whole machine: the board of a PC, firmware that looks for a boot sector on its disk, a network card, a
 * source of random numbers, one serial line. What is the run's (sizes, card, disk) is in it: nothing begins from a template here. Pure.
 *
 * Disks are given as the nodes of a graph, each by its own file and format. What an image's header says of other files is never followed, and
 * the workload's disk lies over the image because these arguments say so.
 */

import { BARE_ARGUMENTS, escapeOption, GUARD_ARGUMENTS, processorArguments } from "../machine/monitor.ts";
import type { VmSize } from "./size.ts";

export interface VmParts {
  /** The image's, raw, only read. */
  readonly base: string;
  /** The workload's own, qcow2. */
  readonly disk: string;
  readonly size: Pick<VmSize, "memoryMib" | "processors">;
  readonly network: { readonly mac: string; readonly mtu: number } | undefined;
  readonly kvm: boolean;
}

export function machineArguments(parts: VmParts): string[] {
  const { base, disk, network } = parts;
  return [
    // Without a screen the firmware speaks on the serial line too.
    ["-M", "q35,graphics=off"],
    processorArguments(parts.kvm, parts.size),
    BARE_ARGUMENTS,
    GUARD_ARGUMENTS,
    // Its processors stand until the workload is started.
    ["-S"],
    ["-blockdev", `driver=file,node-name=image-file,filename=${escapeOption(base)},read-only=on`],
    ["-blockdev", "driver=raw,node-name=image,file=image-file,read-only=on"],
    ["-blockdev", `driver=file,node-name=disk-file,filename=${escapeOption(disk)},discard=unmap`],
    ["-blockdev", "driver=qcow2,node-name=disk,file=disk-file,backing=image,discard=unmap"],
    ["-device", "virtio-blk-pci,drive=disk,serial=disk,bootindex=0"],
    ["-object", "rng-builtin,id=random", "-device", "virtio-rng-pci,rng=random"],
    network === undefined
      ? []
      : [
          ...["-netdev", "tap,id=network,fd={tap},vhost=off"],
          ...["-device", `virtio-net-pci,netdev=network,mac=${network.mac},host_mtu=${network.mtu},romfile=`],
        ],
    ["-chardev", "socket,id=line,fd={line}", "-serial", "chardev:line"],
    ["-chardev", "socket,id=control,fd={control}", "-mon", "chardev=control,mode=control"],
  ].flat();
}
