/** The conformance suite on real machines. */

import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createMicrovmDriver } from "../../src/drivers/microvm/driver.ts";
import type { SandboxSpec } from "../../src/contract/spec.ts";
import { plainCall } from "../../src/contract/call.ts";
import { describeConformance } from "../../src/contract/testkit/conformance.ts";
import type { ConformanceHarness, Unavailable } from "../../src/contract/testkit/harness.ts";
import { busyboxVocabulary } from "../../src/contract/testkit/vocabulary.ts";
import { BUSYBOX, specOf } from "./host/busybox-root.ts";
import { findNativeProgram } from "./host/native-program.ts";
import { openOwnLauncher, type OwnLauncher } from "./host/own-launcher.ts";

async function makeHarness(): Promise<ConformanceHarness | Unavailable> {
  if (!existsSync(BUSYBOX)) return { unavailable: "busybox-static is not installed" };
  const launcher = await openOwnLauncher("machines");
  if ("unavailable" in launcher) return launcher;
  const guest = findNativeProgram("bulkhead-guest");
  if (guest === undefined) return { unavailable: "bulkhead-guest is not built" };
  const image = join(launcher.root, "layer.erofs");
  const { bytes } = await launcher.client.request("layerImage", { directory: makeBusyboxLayer(launcher.root), file: image });
  const open = (client: OwnLauncher["client"]) =>
    createMicrovmDriver({ launcher: client, root: launcher.root, sockets: launcher.sockets, guestPrograms: [guest] });
  let driver = open(launcher.client);
  const { usable, findings } = await driver.probe(plainCall());
  if (!usable) {
    await launcher.close();
    return {
      unavailable: findings
        .filter(({ level }) => level === "missing")
        .map(({ what }) => what)
        .join("; "),
    };
  }
  // The trial that failed (hardware that is none) answers before its supervisor is gone: no trace of a case.
  for (let waited = 0; waited < 100 && ((await launcher.traces())["supervisors"] ?? []).length > 0; waited++) await sleep(20);
  const directoryOf = (workload: string) => join(launcher.root, "workloads", workload);
  return {
    get driver() {
      return driver;
    },
    vocabulary: busyboxVocabulary,
    smallMemoryBytes: 16 * 1024 * 1024,
    directoryOf,
    // The state's length stays, its words do not.
    damageTemplate: async (directory) => writeFileSync(join(directory, "state"), Buffer.alloc(statSync(join(directory, "state")).size, 0x5a)),
    reopen: async () => (driver = open(launcher.connect())),
    makeSpec: async () => machineSpecOf(randomBytes(32).toString("hex"), { path: image, bytes }, directoryOf),
    makeHostDirectory: async () => {
      // Of the root a machine is shown its volumes alone.
      mkdirSync(join(launcher.root, "volumes"), { recursive: true });
      return mkdtempSync(join(launcher.root, "volumes/bind-"));
    },
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

function machineSpecOf(workload: string, image: { path: string; bytes: number }, directoryOf: (workload: string) => string): SandboxSpec {
  const root = {
    form: "block-image",
    drive: { path: image.path, format: "raw" },
    extents: [],
    layers: [{ offsetBytes: 0, lengthBytes: image.bytes }],
  } as const;
  return { ...specOf(workload, "", directoryOf), root };
}

describeConformance("the microvm driver", makeHarness);
