/**
 * The machine monitor's command line: as few devices as a container's needs allow, and nothing of any run. Pure.
 *
 * `microvm` has eight virtio-mmio slots, no hotplug and no PCI. The budget:
 *
 *     1  root drive (read-only, every layer)      3  serial bus: agent, and a port for each share
 *     2  scratch drive                            4  network card, where there is one           5–8  free
 *
 * No random-number device: entropy comes with `configure` and is credited; the processor's own instruction seeds the boot.
 */

import type { RootSource } from "../../contract/spec.ts";
import { BARE_ARGUMENTS, escapeOption, GUARD_ARGUMENTS, processorArguments } from "../machine/monitor.ts";
import type { GuestKernel } from "./kernels.ts";
import type { MachineSize } from "./size.ts";

export interface MachineParts {
  readonly kernel: GuestKernel;
  readonly root: Extract<RootSource, { form: "block-image" }>["drive"];
  readonly scratch: string;
  readonly size: Pick<MachineSize, "memoryMib" | "processors">;
  readonly network: boolean;
  readonly shares: number;
  readonly kvm: boolean;
  /** Its memory is a template's: saved there, with placeholders for every device, or begun from there. */
  readonly template?: "save" | "resume";
}

/** Ports for shares in machines of templates, used or not: what is saved must have what each machine that begins from it may need. */
export const TEMPLATE_SHARES = 4;
/** Drives of a template are this long, which no image and no disk is. The guest asks once; the monitor still refuses what lies beyond the real end. */
const PLACEHOLDER_BYTES = 2 ** 50;

export function machineArguments(parts: MachineParts): string[] {
  const { kernel, root, size } = parts;
  const { template } = parts;
  const shares = template === undefined ? parts.shares : TEMPLATE_SHARES;
  const served = template === "save" ? shares : parts.shares;
  return [
    ["-M", `microvm,acpi=${kernel.needsAcpi ? "on" : "off"},x-option-roms=off,rtc=on,pit=on,pic=on,isa-serial=on${memoryBackend(parts)}`],
    template === undefined ? [] : memoryArguments(size.memoryMib, template),
    processorArguments(parts.kvm, size),
    [...BARE_ARGUMENTS, "-no-reboot"],
    GUARD_ARGUMENTS,
    ["-global", "virtio-mmio.force-legacy=false"],
    ["-kernel", kernel.vmlinux, "-initrd", kernel.initrd, "-append", commandLine(parts)],
    drive("root", `${template === "save" ? PLACEHOLDER : `file=${escapeOption(root.path)},format=${root.format}`},readonly=on`),
    drive("scratch", template === "save" ? PLACEHOLDER : `file=${escapeOption(parts.scratch)},format=raw,discard=unmap`),
    ["-device", `virtio-serial-device,max_ports=${2 + shares}`],
    port("agent", "org.bulkhead.agent", "socket", ",fd={agent}"),
    Array.from({ length: shares }, (_, at) =>
      at < served ? port(`share${at}`, `org.bulkhead.share.${at}`, "socket", `,fd={share:${at}}`) : port(`share${at}`, `org.bulkhead.share.${at}`, "null"),
    ).flat(),
    parts.network ? ["-netdev", "tap,id=network,fd={tap},vhost=off", "-device", "virtio-net-device,netdev=network"] : [],
    ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
  ].flat();
}

const PLACEHOLDER = `driver=null-co,size=${PLACEHOLDER_BYTES},read-zeroes=on`;

function memoryBackend({ template }: MachineParts): string {
  return template === undefined ? "" : ",memory-backend=memory";
}

/** Saved: the guest writes the file itself. Begun from: what it changes is its own. The control channel is held while the machine is raised. */
function memoryArguments(memoryMib: number, template: "save" | "resume"): string[] {
  const shared = template === "save" ? "on" : "off";
  return [
    ["-object", `memory-backend-file,id=memory,size=${memoryMib}M,mem-path={memory},share=${shared}`],
    ["-chardev", "socket,id=control,fd={control}", "-mon", "chardev=control,mode=control"],
    template === "resume" ? ["-S", "-incoming", "defer"] : [],
  ].flat();
}

function drive(id: string, options: string): string[] {
  return ["-drive", `id=${id},if=none,${options}`, "-device", `virtio-blk-device,drive=${id},serial=${id}`];
}

function port(id: string, name: string, backend: string, options = ""): string[] {
  return ["-chardev", `${backend},id=${id}${options}`, "-device", `virtserialport,chardev=${id},name=${name}`];
}

/**
 * Timers are most of an emulated boot: without them the guest calibrates against devices that QEMU emulates too, fails under load, and is left
 * with clocks of ten milliseconds. `noapictimer` is for one processor alone. Mitigations guard against a processor's speculation, which
 * emulation does not have. Under hardware virtualisation the guest finds all this out by itself and keeps its mitigations.
 */
function commandLine({ kvm, size }: MachineParts): string {
  const emulated = ["mitigations=off", "no_timer_check", "tsc=reliable", "tsc_early_khz={tscKhz}", ...(size.processors === 1 ? ["noapictimer"] : [])];
  return ["console=ttyS0", "quiet", "panic=-1", "reboot=t", ...(kvm ? [] : emulated)].join(" ");
}
