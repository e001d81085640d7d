/** The conformance suite on real gVisor sandboxes. */

import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { createGvisorDriver } from "../../src/drivers/gvisor/driver.ts";
import { describeConformance } from "../../src/contract/testkit/conformance.ts";
import type { ConformanceHarness, Unavailable } from "../../src/contract/testkit/harness.ts";
import { busyboxVocabulary, type Vocabulary } from "../../src/contract/testkit/vocabulary.ts";
import { BUSYBOX, makeBusyboxLayer, specOf } from "./host/busybox-root.ts";
import { findNativeProgram } from "./host/native-program.ts";
import { openOwnLauncher, type OwnLauncher } from "./host/own-launcher.ts";

/** The host's control group holds the limit on processes, and counts a child once it has run. */
const vocabulary: Vocabulary = {
  ...busyboxVocabulary,
  forks: (count) => ["sh", "-c", `i=0; while [ $i -lt ${count} ]; do sleep 20 & i=$((i+1)); done; sleep 2; echo made ${count}`],
};

async function makeHarness(): Promise<ConformanceHarness | Unavailable> {
  if (!existsSync(BUSYBOX)) return { unavailable: "busybox-static is not installed" };
  const launcher = await openOwnLauncher("gvisor");
  if ("unavailable" in launcher) return launcher;
  const layer = makeBusyboxLayer(launcher.root);
  // BULKHEAD_RUNSC: another build than the installed one.
  const other = process.env["BULKHEAD_RUNSC"];
  const given = { root: launcher.root, sockets: launcher.sockets, ...(other === undefined ? {} : { findProgram: () => other }) };
  const open = (client: OwnLauncher["client"]) => createGvisorDriver({ launcher: client, initPrograms: [findNativeProgram("bulkhead-init") ?? ""], ...given });
  let driver = open(launcher.client);
  const directoryOf = (workload: string) => join(launcher.root, "workloads", workload);
  return {
    get driver() {
      return driver;
    },
    vocabulary,
    // Its own kernel lives within the limit too.
    smallMemoryBytes: 96 * 1024 * 1024,
    directoryOf,
    reopen: async () => (driver = open(launcher.connect())),
    makeSpec: async () => specOf(randomBytes(32).toString("hex"), layer, directoryOf),
    makeHostDirectory: async () => mkdtempSync(join(launcher.root, "bind-")),
    snapshot: () => launcher.traces(),
    close: () => launcher.close(),
  };
}

describeConformance("the gvisor driver", makeHarness, { timeoutMs: 60_000 });
