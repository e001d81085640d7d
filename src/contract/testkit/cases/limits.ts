import { expect } from "vitest";
import { need, until } from "../stage.ts";
import type { ConformanceCase } from "./case.ts";

export const LIMIT_CASES: readonly ConformanceCase[] = [
  {
    title: "more memory than the limit is fatal, and reported as out of memory",
    async run(stage) {
      const limits = { memoryBytes: stage.harness.smallMemoryBytes, memorySwapBytes: stage.harness.smallMemoryBytes };
      const { status } = await stage.run(stage.say.hog(), {}, { limits });
      expect(status).toMatchObject({ code: 137, outOfMemory: true });
    },
  },
  {
    title: "the memory limit is seen from outside",
    async run(stage) {
      const { sandbox } = await stage.raiseSleeper({ limits: { memoryBytes: stage.harness.smallMemoryBytes } });
      expect((await sandbox.stats(stage.call)).memoryLimitBytes).toBe(stage.harness.smallMemoryBytes);
    },
  },
  {
    title: "the pids limit is felt inside, and seen outside",
    needsKernel: true,
    async run(stage) {
      const limits = { pids: 12 };
      const { stdout, status } = await stage.run(stage.say.forks(40), {}, { limits });
      expect(stdout.toString()).not.toContain("made");
      expect(status.code).not.toBe(0);
      const { sandbox } = await stage.raiseSleeper({ limits });
      expect((await sandbox.stats(stage.call)).pidsLimit).toBe(12);
    },
  },
  {
    title: "a program within its limits does not feel them",
    needsKernel: true,
    async run(stage) {
      const { stdout, status } = await stage.run(stage.say.forks(4), {}, { limits: { pids: 64, memoryBytes: stage.harness.smallMemoryBytes, cpus: 0.5 } });
      expect(stdout.toString()).toBe("made 4\n");
      expect(status.code).toBe(0);
    },
  },
  {
    title: "stats grow with the work that is done, and are refused nowhere while it runs",
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.tick(400, 5));
      await sandbox.start(stage.call);
      const first = await sandbox.stats(stage.call);
      expect(first.memoryBytes).toBeGreaterThan(0);
      expect(first.pids).toBeGreaterThan(0);
      await until(async () => (await sandbox.stats(stage.call)).cpuTotalNs > first.cpuTotalNs);
    },
  },
  {
    title: "limits change while it runs",
    needs: "resize",
    async run(stage) {
      const { sandbox } = await stage.raiseSleeper({ limits: { pids: 12 } });
      await need(sandbox.resize).update({ pids: 33 }, stage.call);
      expect((await sandbox.stats(stage.call)).pidsLimit).toBe(33);
    },
  },
];
