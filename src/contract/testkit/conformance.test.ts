import { mkdtemp, rm } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { CONFORMANCE_CASES, describeConformance } from "./conformance.ts";
import { createFakeDriver } from "./fake-driver.ts";
import { FakeHost } from "./fake-host.ts";
import type { ConformanceHarness } from "./harness.ts";
import { fakeVocabulary } from "./vocabulary.ts";

async function makeFakeHarness(): Promise<ConformanceHarness> {
  const host = new FakeHost();
  const root = await mkdtemp(join(tmpdir(), "bulkhead-fake-"));
  let driver = createFakeDriver({ host });
  let count = 0;
  const directoryOf = (workload: string) => join(root, "workloads", workload);
  return {
    get driver() {
      return driver;
    },
    vocabulary: fakeVocabulary,
    smallMemoryBytes: 64 * 1024 * 1024,
    directoryOf,
    reopen: async () => {
      driver.die();
      return (driver = createFakeDriver({ host }));
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

describeConformance("the fake", makeFakeHarness);

it("the suite asks for at least forty promises", () => {
  expect(Object.values(CONFORMANCE_CASES).flat().length).toBeGreaterThanOrEqual(40);
});
