/** The conformance suite on real wasm instances. */

import { plainProcess } from "../../src/contract/process.ts";
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { plainCall } from "../../src/contract/call.ts";
import { describeConformance } from "../../src/contract/testkit/conformance.ts";
import type { ConformanceHarness, Unavailable } from "../../src/contract/testkit/harness.ts";
import { createWasmDriver } from "../../src/drivers/wasm/driver.ts";
import { specOf } from "./host/busybox-root.ts";
import { findNativeProgram } from "./host/native-program.ts";
import { openOwnLauncher, type OwnLauncher } from "./host/own-launcher.ts";
import { compileFixture, wasmVocabulary } from "./host/wasm-fixture.ts";

async function makeHarness(): Promise<ConformanceHarness | Unavailable> {
  const program = findNativeProgram("bulkhead-wasm");
  if (program === undefined) return { unavailable: "bulkhead-wasm is not built" };
  const launcher = await openOwnLauncher("wasm");
  if ("unavailable" in launcher) return launcher;
  copyFileSync(program, join(launcher.root, "bulkhead-wasm"));
  const module = compileFixture("vocabulary", launcher.root);
  if (typeof module !== "string") {
    await launcher.close();
    return module;
  }
  const layer = makeLayer(launcher.root, module);
  const open = (client: OwnLauncher["client"]) => createWasmDriver({ launcher: client, root: launcher.root, sockets: launcher.sockets });
  let driver = open(launcher.client);
  const directoryOf = (workload: string) => join(launcher.root, "workloads", workload);
  const makeSpec = async () => {
    const spec = specOf(randomBytes(32).toString("hex"), "", directoryOf);
    return { ...spec, domain: "conformance", root: { form: "module", layers: [layer] } as const };
  };
  await warm(driver, await makeSpec(), directoryOf);
  return {
    get driver() {
      return driver;
    },
    vocabulary: wasmVocabulary,
    smallMemoryBytes: 16 * 1024 * 1024,
    directoryOf,
    reopen: async () => (driver = open(launcher.connect())),
    makeSpec,
    makeHostDirectory: async () => mkdtempSync(join(launcher.root, "bind-")),
    snapshot: () => launcher.traces(),
    close: async () => {
      await launcher.client.request("sweep", { keep: [] });
      await launcher.close();
    },
  };
}

function makeLayer(root: string, module: string): string {
  const layer = join(root, "layer");
  for (const directory of ["bin", "etc", "tmp"]) mkdirSync(join(layer, directory), { recursive: true });
  copyFileSync(module, join(layer, "bin/vocabulary.wasm"));
  writeFileSync(join(layer, "etc/passwd"), "root:x:0:0::/root:/bin/sh\n");
  return layer;
}

/** The domain's runner outlives its instances: it is there before the first case looks. */
async function warm(
  driver: ConformanceHarness["driver"],
  spec: Awaited<ReturnType<ConformanceHarness["makeSpec"]>>,
  directoryOf: (workload: string) => string,
) {
  const call = plainCall();
  const directory = directoryOf(spec.workload);
  const main = plainProcess(wasmVocabulary.exit(0));
  const sandbox = await driver.launch(await driver.prepare(spec, directory, call), main, call);
  await sandbox.start(call);
  await sandbox.ended;
  await driver.remove({ kind: "wasm", workload: spec.workload, directory }, call);
}

describeConformance("the wasm driver", makeHarness);
