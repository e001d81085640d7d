/**
 * The conformance suite on real containers. With `BULKHEAD_TEST_RUNTIME=runc` it hides crun from the driver, as a host without it would
 * (`npm run test:full` runs it so): the fallback is held to the same promises.
 */

import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { createContainerDriver } from "../../src/drivers/container/driver.ts";
import { findProgram } from "../../src/host/host-facts.ts";
import { describeConformance } from "../../src/contract/testkit/conformance.ts";
import type { ConformanceHarness, Unavailable } from "../../src/contract/testkit/harness.ts";
import { busyboxVocabulary } from "../../src/contract/testkit/vocabulary.ts";
import { BUSYBOX, makeBusyboxLayer, specOf } from "./host/busybox-root.ts";
import { findNativeProgram } from "./host/native-program.ts";
import { openOwnLauncher, type OwnLauncher } from "./host/own-launcher.ts";

const runtime = process.env["BULKHEAD_TEST_RUNTIME"];

async function makeHarness(): Promise<ConformanceHarness | Unavailable> {
  if (!existsSync(BUSYBOX)) return { unavailable: "busybox-static is not installed" };
  const launcher = await openOwnLauncher("conformance");
  if ("unavailable" in launcher) return launcher;
  const layer = makeBusyboxLayer(launcher.root);
  const open = (client: OwnLauncher["client"]) =>
    createContainerDriver({
      launcher: client,
      root: launcher.root,
      sockets: launcher.sockets,
      initPrograms: [findNativeProgram("bulkhead-init") ?? ""],
      findProgram: (name) => (runtime === undefined || name === runtime ? findProgram(name) : undefined),
    });
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

// An emulated machine beside other work (test/full) needs more than a host does.
describeConformance(runtime === undefined ? "the container driver" : `the container driver on ${runtime}`, makeHarness, { timeoutMs: 240_000 });
