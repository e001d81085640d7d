/** The smallest root that a driver can be shown: Debian's static busybox and two accounts. */

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SandboxSpec } from "../../../src/contract/spec.ts";

export const BUSYBOX = "/bin/busybox";
const DOCKER_CAPABILITIES = [
  "CHOWN",
  "DAC_OVERRIDE",
  "FSETID",
  "FOWNER",
  "MKNOD",
  "NET_RAW",
  "SETGID",
  "SETUID",
  "SETFCAP",
  "SETPCAP",
  "NET_BIND_SERVICE",
  "SYS_CHROOT",
  "KILL",
  "AUDIT_WRITE",
];

export function makeBusyboxLayer(root: string): string {
  const layer = join(root, "layer");
  for (const directory of ["bin", "etc", "tmp", "root", "proc", "sys", "dev"]) mkdirSync(join(layer, directory), { recursive: true });
  copyFileSync(BUSYBOX, join(layer, "bin/busybox"));
  for (const applet of execFileSync(BUSYBOX, ["--list"], { encoding: "utf8" }).trim().split("\n")) {
    if (applet !== "busybox") symlinkSync("busybox", join(layer, "bin", applet));
  }
  writeFileSync(join(layer, "etc/passwd"), "root:x:0:0::/root:/bin/sh\nworker:x:1000:1000::/home/worker:/bin/sh\n");
  writeFileSync(join(layer, "etc/group"), "root:x:0:\nworker:x:1000:\nstaff:x:50:worker\n");
  return layer;
}

export function specOf(workload: string, layer: string, directoryOf: (workload: string) => string): SandboxSpec {
  return {
    workload,
    root: { form: "directories", layers: [layer] },
    hostname: "box",
    hosts: "127.0.0.1 localhost\n",
    resolvConf: "",
    mounts: [],
    network: { kind: "none" },
    limits: {},
    rlimits: [],
    sysctls: {},
    shmBytes: 1024 * 1024,
    security: {
      privileged: false,
      capabilities: DOCKER_CAPABILITIES.map((name) => `CAP_${name}`),
      noNewPrivileges: true,
      seccomp: "default",
      readOnlyRoot: false,
      maskedPaths: ["/proc/kcore"],
      readOnlyPaths: ["/proc/sys"],
      hostNamespaces: [],
      devices: [],
    },
    init: false,
    log: { kind: "json-file", path: join(directoryOf(workload), "log.json"), maxFiles: 1 },
  };
}
