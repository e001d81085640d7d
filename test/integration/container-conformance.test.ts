/** The conformance suite on real containers. */

import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { createContainerDriver } from "../../src/drivers/container/driver.ts";
import type { SandboxSpec } from "../../src/contract/spec.ts";
import { describeConformance } from "../../src/contract/testkit/conformance.ts";
import type { ConformanceHarness, Unavailable } from "../../src/contract/testkit/harness.ts";
import { busyboxVocabulary } from "../../src/contract/testkit/vocabulary.ts";
import { openOwnLauncher, type OwnLauncher } from "./host/own-launcher.ts";

const BUSYBOX = "/bin/busybox";
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

async function makeHarness(): Promise<ConformanceHarness | Unavailable> {
  if (!existsSync(BUSYBOX)) return { unavailable: "busybox-static is not installed" };
  const launcher = await openOwnLauncher("conformance");
  if ("unavailable" in launcher) return launcher;
  const layer = makeBusyboxLayer(launcher.root);
  const open = (client: OwnLauncher["client"]) => createContainerDriver({ launcher: client, root: launcher.root, sockets: launcher.sockets });
  let driver = open(launcher.client);
  const directoryOf = (workload: string) => join(launcher.root, "workloads", workload);
  return {
    get driver() {
      return driver;
    },
    vocabulary: busyboxVocabulary,
    smallMemoryBytes: 16 * 1024 * 1024,
    directoryOf,
    reopen: async () => (driver = open(launcher.connect())),
    makeSpec: async () => specOf(randomBytes(32).toString("hex"), layer, directoryOf),
    makeHostDirectory: async () => mkdtempSync(join(launcher.root, "bind-")),
    snapshot: () => launcher.traces(),
    close: () => launcher.close(),
  };
}

function makeBusyboxLayer(root: string): string {
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

function specOf(workload: string, layer: string, directoryOf: (workload: string) => string): SandboxSpec {
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

describeConformance("the container driver", makeHarness);
