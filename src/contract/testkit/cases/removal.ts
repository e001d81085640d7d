import { existsSync } from "node:fs";
import { expect } from "vitest";
import type { Bundle } from "../../driver.ts";
import type { Stage } from "../stage.ts";
import type { ConformanceCase } from "./case.ts";

/** Removes, and again; nothing is left, and the driver finds nothing. */
async function removesWholly(stage: Stage, before: unknown, bundle: Bundle): Promise<void> {
  await stage.driver.remove(bundle, stage.call);
  expect(await stage.harness.snapshot()).toEqual(before);
  expect(existsSync(bundle.directory)).toBe(false);
  await stage.driver.remove(bundle, stage.call);
  expect(await stage.harness.snapshot()).toEqual(before);
}

export const REMOVAL_CASES: readonly ConformanceCase[] = [
  {
    title: "remove of what was never prepared does nothing",
    async run(stage) {
      const { workload } = await stage.harness.makeSpec();
      const before = await stage.harness.snapshot();
      await stage.driver.remove({ kind: stage.driver.kind, workload, directory: stage.harness.directoryOf(workload) }, stage.call);
      expect(await stage.harness.snapshot()).toEqual(before);
    },
  },
  {
    title: "remove after prepare leaves nothing",
    async run(stage) {
      const before = await stage.harness.snapshot();
      await removesWholly(stage, before, (await stage.prepare()).bundle);
    },
  },
  {
    title: "remove of a held sandbox leaves nothing",
    async run(stage) {
      const before = await stage.harness.snapshot();
      const { bundle, sandbox } = await stage.raise(stage.say.sleep(600));
      await removesWholly(stage, before, bundle);
      await sandbox.ended;
    },
  },
  {
    title: "remove of a running sandbox ends it and leaves nothing",
    async run(stage) {
      const before = await stage.harness.snapshot();
      const { bundle, sandbox } = await stage.raiseSleeper();
      await removesWholly(stage, before, bundle);
      expect((await sandbox.ended).status.code).toBe(137);
    },
  },
  {
    title: "remove of an ended sandbox leaves nothing",
    async run(stage) {
      const before = await stage.harness.snapshot();
      const { bundle, sandbox } = await stage.raise(stage.say.exit(0));
      await sandbox.start(stage.call);
      await sandbox.ended;
      await removesWholly(stage, before, bundle);
    },
  },
  {
    title: "remove by a daemon that never saw it needs no more than its place",
    async run(stage) {
      const before = await stage.harness.snapshot();
      const { bundle } = await stage.raiseSleeper();
      stage.driver = await stage.harness.reopen();
      const { kind, workload, directory } = bundle;
      await stage.driver.remove({ kind, workload, directory }, stage.call);
      expect(await stage.harness.snapshot()).toEqual(before);
    },
  },
  {
    title: "a start that failed leaves nothing standing",
    async run(stage) {
      const before = await stage.harness.snapshot();
      const { bundle, sandbox } = await stage.raise(["/no/such/command"]);
      await sandbox.start(stage.call).catch(() => {});
      await sandbox.ended;
      await removesWholly(stage, before, bundle);
    },
  },
];
