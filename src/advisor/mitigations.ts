/** What to do beside choosing the boundary: the textbooks' list, as far as it has force behind the one that was chosen. */

import type { BoundaryKind } from "../contract/boundary.ts";
import type { Needs } from "./needs.ts";
import { holds, type Rule } from "./rules.ts";

export interface Mitigation {
  readonly id: string;
  readonly text: string;
}

interface Entry extends Mitigation {
  /** Absent: behind each. */
  readonly behind?: readonly BoundaryKind[];
  readonly when?: Rule["when"];
}

const ON_HOST_KERNEL = ["container"] as const;
const IN_NAMESPACES = ["container", "gvisor"] as const;
const MACHINES = ["microvm", "vm"] as const;

const MITIGATIONS: readonly Entry[] = [
  { id: "drop-capabilities", behind: IN_NAMESPACES, text: "drop all capabilities and add back what it needs: --cap-drop ALL --cap-add …" },
  { id: "seccomp", behind: ON_HOST_KERNEL, text: "keep the default seccomp profile, or give a narrower one; never seccomp=unconfined" },
  { id: "lsm", behind: ON_HOST_KERNEL, text: "keep AppArmor or SELinux on where the host has it" },
  { id: "no-new-privileges", behind: IN_NAMESPACES, text: "--security-opt no-new-privileges: set-uid programs gain nothing" },
  {
    id: "user-namespaces",
    behind: ON_HOST_KERNEL,
    text: "keep the user namespace that it has by default, in which root is nobody outside; never --userns=host",
  },
  { id: "read-only-root", behind: ["container", "gvisor", "microvm"], text: "--read-only, with a tmpfs or a volume where it must write" },
  { id: "no-root-user", behind: ["container", "gvisor", "microvm"], text: "run it as a user of its own: --user, or USER in the image" },
  { id: "limits", text: "limit memory, processors and processes: --memory, --cpus, --pids-limit" },
  {
    id: "no-host-namespaces",
    behind: IN_NAMESPACES,
    when: { "privileges.end-wall": [true] },
    text: "give up the privileges that end the wall (privileged, docker.sock, CAP_SYS_ADMIN, host namespaces, /proc or /sys) one by one",
  },
  { id: "no-sensitive-paths", text: "show it no path of the host that it does not need, and read-only where it only reads" },
  {
    id: "own-engine-inside",
    when: { "privileges.docker-socket": [true] },
    text: "do not hand in the host's engine socket, which is root on the host through any wall: run an engine of its own inside the machine",
  },
  { id: "pin-digest", when: { artifact: ["oci-image", "wasm-module"] }, text: "name the image by digest, so that what was examined is what runs" },
  { id: "limit-egress", text: "let it speak only to whom it must: --network none, or an allow-list" },
  { id: "volumes-for-hot-data", when: { "intensity.disk": ["high"] }, text: "put hot data on a volume: the layered filesystem costs on each write" },
  { id: "few-layers", behind: ["container", "gvisor"], when: { "intensity.disk": ["high"] }, text: "keep the image's layers few" },
  {
    id: "warm",
    behind: MACHINES,
    when: { lifetime: ["milliseconds", "seconds"] },
    text: "start from a template or keep a pool: cold starts are for the first one",
  },
  {
    id: "loss-against-a-machine",
    behind: ["gvisor"],
    when: { trust: ["untrusted"] },
    text: "know the loss: gVisor's wall is a program on the host's kernel; a fault in it meets the host, where a machine's hypervisor would stand",
  },
  {
    id: "keep-newest",
    behind: ["gvisor", "wasm"],
    when: { trust: ["partner", "untrusted"] },
    text: "keep the engine at its newest version: it is the wall",
  },
  {
    id: "devices-narrowly",
    when: { gpu: ["shared", "whole"] },
    text: "hand in the one device it needs; a GPU's memory is not wiped between tenants by itself",
  },
  { id: "monitor-confined", behind: MACHINES, text: "leave the monitor confined as it is: own user, namespaces and seccomp; few devices" },
  { id: "back-up", when: { state: ["pet"] }, text: "snapshot and back up its disk: nobody can make it anew" },
];

export function mitigationsFor(boundary: BoundaryKind, needs: Needs): Mitigation[] {
  return MITIGATIONS.filter(({ behind, when }) => (behind === undefined || behind.includes(boundary)) && (when === undefined || holds(when, needs.facts))).map(
    ({ id, text }) => ({ id, text }),
  );
}
