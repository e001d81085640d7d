/** The fake driver with everything that the conformance suite asks of a harness. */

import { mkdtemp, rm } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BoundaryDriver } from "../driver.ts";
import { createFakeDriver } from "./fake-driver.ts";
import { FakeHost } from "./fake-host.ts";
import type { ConformanceHarness } from "./harness.ts";
import { fakeVocabulary } from "./vocabulary.ts";

/** `sabotage` breaks one promise, for the suite to find out. */
export async function makeFakeHarness(sabotage: (driver: BoundaryDriver) => BoundaryDriver = (driver) => driver): Promise<ConformanceHarness> {
  const host = new FakeHost();
  const root = await mkdtemp(join(tmpdir(), "bulkhead-fake-"));
  let fake = createFakeDriver({ host });
  let driver = sabotage(fake);
  let count = 0;
  const directoryOf = (workload: string) => join(root, "workloads", workload);
  return {
    get driver() {
      return driver;
    },
    vocabulary: fakeVocabulary,
    smallMemoryBytes: 64 * 1024 * 1024,
    directoryOf,
    damageTemplate: async (directory) => {
      host.place(directory).template = "damaged";
    },
    reopen: async () => {
      fake.die();
      fake = createFakeDriver({ host });
      return (driver = sabotage(fake));
    },
    makeSpec: async () => {
      const workload = randomBytes(32).toString("hex");
      return {
        workload,
        root: { form: "directories", layers: ["/layers/1"] },
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
          capabilities: [],
          noNewPrivileges: false,
          seccomp: "default",
          readOnlyRoot: false,
          maskedPaths: [],
          readOnlyPaths: [],
          hostNamespaces: [],
          devices: [],
        },
        init: false,
        log: { kind: "json-file", path: join(directoryOf(workload), "log.json"), maxFiles: 1 },
      };
    },
    makeHostDirectory: () => mkdtemp(join(root, `bind-${count++}-`)),
    snapshot: async () => host.snapshot(),
    close: () => rm(root, { recursive: true, force: true }),
  };
}
