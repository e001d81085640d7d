/** Each row of the textbooks' table, on a host with usable virtualisation and on one without. */

import { describe, expect, it } from "vitest";
import { advise } from "./advice.ts";
import { assume } from "./host.ts";
import type { Requirements } from "./requirements.ts";
import { EMULATING, VIRTUALISING } from "./testkit/hosts.ts";

interface Row {
  readonly what: string;
  readonly needs: Requirements;
  /** On the server, with these assumed. */
  readonly assume?: readonly string[];
  readonly server: string | null;
  /** Without usable virtualisation; absent: not asked. */
  readonly emulating?: string | null;
}

const ROWS: readonly Row[] = [
  { what: "nothing said", needs: {}, server: "container", emulating: "container" },
  { what: "own code, one tenant", needs: { trust: "own", tenancy: "single" }, server: "container", emulating: "container" },
  { what: "untrusted code, several tenants", needs: { trust: "untrusted", tenancy: "multi" }, server: "microvm", emulating: "gvisor" },
  { what: "untrusted code, one tenant", needs: { trust: "untrusted", tenancy: "single" }, server: "microvm", emulating: "gvisor" },
  { what: "a partner's code, several tenants", needs: { trust: "partner", tenancy: "multi" }, server: "microvm", emulating: "gvisor" },
  { what: "a partner's code alone", needs: { trust: "partner", tenancy: "single" }, server: "container", emulating: "container" },
  { what: "kernel separation", needs: { compliance: "kernel-separation" }, server: "gvisor|microvm", emulating: "gvisor" },
  { what: "a hypervisor demanded", needs: { compliance: "hypervisor" }, server: "microvm", emulating: null },
  { what: "confidential, ordinary host", needs: { compliance: "confidential" }, server: null, emulating: null },
  { what: "confidential, SEV-SNP", needs: { compliance: "confidential" }, assume: ["sev-snp=yes"], server: "vm" },
  { what: "confidential, TDX", needs: { compliance: "confidential" }, assume: ["tdx=yes"], server: "vm" },
  { what: "Windows", needs: { guest: { os: "windows" } }, server: "vm", emulating: "vm" },
  { what: "FreeBSD", needs: { guest: { os: "freebsd" } }, server: "vm", emulating: "vm" },
  { what: "Windows with strangers' code", needs: { guest: { os: "windows" }, trust: "untrusted" }, server: "vm", emulating: null },
  { what: "another architecture", needs: { guest: { architecture: "arm64" } }, server: "vm", emulating: "vm" },
  { what: "another architecture, untrusted", needs: { guest: { architecture: "riscv64" }, trust: "untrusted" }, server: null, emulating: null },
  { what: "a module for another architecture", needs: { artifact: "wasm-module", guest: { architecture: "arm64" } }, server: "wasm", emulating: "wasm" },
  { what: "an own kernel", needs: { kernel: { own: true } }, server: "microvm", emulating: "microvm" },
  { what: "an own kernel, untrusted", needs: { kernel: { own: true }, trust: "untrusted" }, server: "microvm", emulating: null },
  { what: "kernel modules", needs: { kernel: { modules: ["wireguard"] } }, server: "microvm", emulating: "microvm" },
  { what: "kernel-wide settings", needs: { kernel: { sysctls: ["vm.overcommit_memory"] } }, server: "microvm" },
  { what: "eBPF of its own", needs: { kernel: { ebpf: true } }, server: "microvm" },
  { what: "a kernel version that the host has", needs: { kernel: { version: ">=5.10" } }, server: "container" },
  { what: "a kernel version that it has not", needs: { kernel: { version: ">=6.8" } }, server: "microvm" },
  { what: "that version on a newer host", needs: { kernel: { version: ">=6.8" } }, assume: ["kernel=6.12"], server: "container" },
  { what: "a pet", needs: { state: "pet" }, server: "vm" },
  { what: "a full init system, for months", needs: { initSystem: true, lifetime: "months" }, server: "vm" },
  { what: "a disk image", needs: { artifact: "disk-image" }, server: "vm", emulating: "vm" },
  { what: "stateless and many", needs: { state: "stateless", budgets: { instancesPerHost: 300 } }, server: "container", emulating: "container" },
  { what: "start-up within milliseconds", needs: { budgets: { startupMs: 110 } }, server: "container" },
  { what: "a module below one millisecond", needs: { artifact: "wasm-module", budgets: { startupMs: 1 } }, server: "wasm" },
  { what: "untrusted, in milliseconds no machine has by the books", needs: { trust: "untrusted", budgets: { startupMs: 20 } }, server: null },
  { what: "thousands of modules", needs: { artifact: "wasm-module", budgets: { instancesPerHost: 2000 }, size: { memoryBytes: 1e6 } }, server: "wasm" },
  { what: "an untrusted module", needs: { artifact: "wasm-module", trust: "untrusted" }, server: "wasm", emulating: "wasm" },
  { what: "heavy system calls, untrusted", needs: { trust: "untrusted", intensity: { syscalls: "high" } }, server: "microvm", emulating: "gvisor" },
  { what: "a GPU where there is none", needs: { gpu: "whole" }, server: null },
  { what: "a GPU", needs: { gpu: "whole" }, assume: ["gpu=yes"], server: "container" },
  { what: "a GPU for strangers, by the books' machine", needs: { gpu: "whole", compliance: "hypervisor" }, assume: ["gpu=yes"], server: "vm" },
  { what: "a GPU for a module", needs: { gpu: "shared", artifact: "wasm-module" }, assume: ["gpu=yes"], server: null },
  { what: "real-time, ordinary kernel", needs: { kernel: { realtime: true } }, server: null },
  { what: "real-time, PREEMPT_RT", needs: { kernel: { realtime: true } }, assume: ["realtime=yes"], server: "container" },
  { what: "real-time and untrusted", needs: { kernel: { realtime: true }, trust: "untrusted" }, assume: ["realtime=yes"], server: null },
  { what: "Docker inside", needs: { nested: "docker" }, server: "microvm", emulating: "microvm" },
  { what: "Docker inside, untrusted", needs: { nested: "docker", trust: "untrusted" }, server: "microvm", emulating: null },
  { what: "a machine inside, without nesting", needs: { nested: "virtual-machine" }, server: null },
  { what: "a machine inside", needs: { nested: "virtual-machine" }, assume: ["nested=yes"], server: "microvm" },
  { what: "privileged own code", needs: { privileges: ["privileged"] }, server: "microvm", emulating: "container" },
  { what: "privileged strangers", needs: { privileges: ["CAP_SYS_ADMIN"], trust: "untrusted" }, server: "microvm", emulating: null },
  { what: "docker.sock", needs: { privileges: ["docker.sock"], trust: "partner" }, server: "microvm", emulating: null },
  { what: "host namespaces among tenants", needs: { privileges: ["host-pid"], tenancy: "multi" }, server: "microvm", emulating: null },
  { what: "a harmless capability", needs: { privileges: ["CAP_NET_BIND_SERVICE"] }, server: "container", emulating: "container" },
  { what: "lives for milliseconds", needs: { lifetime: "milliseconds" }, server: "container", emulating: "container" },
  { what: "lives for seconds, a stranger's", needs: { lifetime: "seconds", trust: "untrusted" }, server: "microvm", emulating: "gvisor" },
  { what: "larger than the host", needs: { size: { memoryBytes: 1e12 } }, server: null },
];

describe("each row of the textbooks' table", () => {
  for (const row of ROWS) {
    it(`${row.what}: ${row.server ?? "nothing here"}${row.emulating === undefined ? "" : `, without virtualisation ${row.emulating ?? "nothing here"}`}`, () => {
      const server = advise({ requirements: row.needs, host: assume(VIRTUALISING, row.assume ?? []) });
      expect(server.recommendation?.boundary ?? "null", server.reason).toMatch(new RegExp(`^(${row.server ?? "null"})$`));
      if (row.emulating === undefined) return;
      const emulating = advise({ requirements: row.needs, host: EMULATING });
      expect(emulating.recommendation?.boundary ?? "null", emulating.reason).toMatch(new RegExp(`^(${row.emulating ?? "null"})$`));
    });
  }
});
