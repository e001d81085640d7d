import { readFile } from "node:fs/promises";
import { expect } from "vitest";
import type { Adoption } from "../../driver.ts";
import { need, OUTPUT, pause, readUntil, until, type Raised, type Stage } from "../stage.ts";
import type { ConformanceCase } from "./case.ts";

/** The daemon dies and another comes up: what does it find? */
async function find(stage: Stage, { bundle }: Pick<Raised, "bundle">): Promise<Adoption> {
  stage.driver = await stage.harness.reopen();
  // What a store keeps is text.
  return stage.driver.adopt(JSON.parse(JSON.stringify(bundle)) as typeof bundle, stage.call);
}

async function findStanding(stage: Stage, raised: Pick<Raised, "bundle">): Promise<Extract<Adoption, { state: "standing" }>> {
  const found = await find(stage, raised);
  if (found.state !== "standing") throw new Error(`expected it to stand, found: ${JSON.stringify(found)}`);
  return found;
}

export const ADOPTION_CASES: readonly ConformanceCase[] = [
  {
    title: "a running workload outlives the daemon: its output goes on into the log, and its exit is true",
    async run(stage) {
      const raised = await stage.raise(stage.say.tick(30, 50));
      await raised.sandbox.start(stage.call);
      const { sandbox, main } = await findStanding(stage, raised);
      expect(main).toBe("running");
      expect((await sandbox.ended).status).toMatchObject({ code: 0 });
      if (raised.spec.log.kind !== "json-file") return;
      const lines = (await readFile(raised.spec.log.path, "utf8")).trim().split("\n");
      expect(lines.map((line) => (JSON.parse(line) as { log: string }).log)).toEqual(Array.from({ length: 30 }, (_, index) => `tick ${index + 1}\n`));
    },
  },
  {
    title: "an adopted workload is attached to, signalled and ended like every other",
    needsKernel: true,
    async run(stage) {
      const raised = await stage.raise(stage.say.trap("SIGTERM", 11));
      const before = await raised.sandbox.main.attach(OUTPUT, stage.call);
      await raised.sandbox.start(stage.call);
      await readUntil(before.output[Symbol.asyncIterator](), "ready");
      const { sandbox } = await findStanding(stage, raised);
      const attachment = await sandbox.main.attach(OUTPUT, stage.call);
      await sandbox.main.signal("SIGTERM", stage.call);
      expect((await sandbox.ended).status.code).toBe(11);
      attachment.close();
    },
  },
  {
    title: "what ended while no daemon looked is told with its true code",
    async run(stage) {
      const raised = await stage.raise(stage.say.exit(42));
      await raised.sandbox.start(stage.call);
      await raised.sandbox.ended;
      const found = await find(stage, raised);
      expect(found).toMatchObject({ state: "ended", started: true, reason: { kind: "exited", status: { code: 42 } } });
    },
  },
  {
    title: "one that was held is found held, and can still be started",
    async run(stage) {
      const raised = await stage.raise(stage.say.print("stdout", "late start"));
      const { sandbox, main } = await findStanding(stage, raised);
      expect(main).toBe("held");
      expect((await stage.finish(sandbox)).stdout.toString()).toBe("late start");
    },
  },
  {
    title: "a bundle that was only prepared is found not launched",
    async run(stage) {
      expect((await find(stage, await stage.prepare())).state).toBe("not-launched");
    },
  },
  {
    title: "adoption tells of the latest launch, never of one before it",
    async run(stage) {
      const raised = await stage.raise(stage.say.exit(9));
      await raised.sandbox.start(stage.call);
      await raised.sandbox.ended;
      const again = await stage.driver.launch(raised.bundle, stage.process(stage.say.sleep(600)), stage.call);
      await again.start(stage.call);
      expect((await findStanding(stage, raised)).main).toBe("running");
    },
  },
  {
    title: "a held sandbox that was ended is told as never started",
    async run(stage) {
      const raised = await stage.raise(stage.say.sleep(600));
      await raised.sandbox.end(stage.call);
      const found = await find(stage, raised);
      if (found.state !== "not-launched") expect(found).toMatchObject({ state: "ended", started: false });
    },
  },
  {
    title: "a held sandbox that is just being ended is never told as having run",
    async run(stage) {
      const raised = await stage.raise(stage.say.sleep(600));
      // Nobody hears its answer: the daemon that asked is dead.
      void raised.sandbox.end(stage.call).catch(() => {});
      const found = await find(stage, raised);
      // Asked before the end had reached it, it may still be held.
      if (found.state === "standing") expect(found.main).toBe("held");
      else if (found.state === "ended") expect(found.started).toBe(false);
    },
  },
  {
    title: "an exec is found again by its number and its name, and its exit is true",
    needs: "exec",
    async run(stage) {
      const raised = await stage.raiseSleeper();
      const { process, attachment } = await need(raised.sandbox.exec).run(
        { ...stage.process(stage.say.trap("SIGTERM", 21)), name: "seven" },
        OUTPUT,
        stage.call,
      );
      await readUntil(attachment.output[Symbol.asyncIterator](), "ready");
      const { sandbox } = await findStanding(stage, raised);
      const again = need(need(sandbox.exec).find(process.number));
      expect(need(sandbox.exec).find("seven")?.number).toBe(process.number);
      expect(need(sandbox.exec).find("eight")).toBeUndefined();
      await again.signal("SIGTERM", stage.call);
      expect((await again.exited).code).toBe(21);
      expect(need(sandbox.exec).find(999_999)).toBeUndefined();
    },
  },
  {
    title: "one that was paused is found paused",
    needs: "pause",
    async run(stage) {
      const raised = await stage.raiseSleeper();
      await need(raised.sandbox.pause).pause(stage.call);
      const { sandbox, main } = await findStanding(stage, raised);
      expect(main).toBe("paused");
      await need(sandbox.pause).resume(stage.call);
    },
  },
  {
    title: "input goes on to an adopted workload",
    async run(stage) {
      const raised = await stage.raise(stage.say.cat(), { stdin: true });
      await raised.sandbox.start(stage.call);
      const { sandbox } = await findStanding(stage, raised);
      const attachment = await sandbox.main.attach({ stdin: true, stdout: true, stderr: true }, stage.call);
      await attachment.write(Buffer.from("after the restart"));
      expect(await readUntil(attachment.output[Symbol.asyncIterator](), "restart")).toBe("after the restart");
    },
  },
  {
    title: "ended settles once more for whoever adopts while it ends",
    async run(stage) {
      const raised = await stage.raise(stage.say.tick(3, 50));
      await raised.sandbox.start(stage.call);
      await pause(100);
      const found = await find(stage, raised);
      const reason = found.state === "standing" ? await found.sandbox.ended : found.state === "ended" ? found.reason : undefined;
      expect(reason?.status.code).toBe(0);
      await until(async () => (await stage.driver.adopt(raised.bundle, stage.call)).state === "ended");
    },
  },
];
