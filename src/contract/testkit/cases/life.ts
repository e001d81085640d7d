import { expect } from "vitest";
import { plainCall } from "../../call.ts";
import { failureCode, OUTPUT, pause, read } from "../stage.ts";
import type { ConformanceCase } from "./case.ts";

export const LIFE_CASES: readonly ConformanceCase[] = [
  {
    title: "the probe says who carries a workload, and that it can",
    async run({ driver, call }) {
      const report = await driver.probe(call);
      expect(report.kind).toBe(driver.kind);
      expect(report.usable).toBe(true);
      expect(report.identity?.engine).toBeTruthy();
      for (const { id, what, level, remedy } of report.findings) {
        expect(id).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
        expect(what.length).toBeGreaterThan(10);
        if (level === "missing") expect(remedy).toBeTruthy();
      }
    },
  },
  {
    title: "a workload runs from prepare to its end, and says so once",
    async run(stage) {
      const { stdout, status } = await stage.run(stage.say.print("stdout", "hello\n"));
      expect(stdout.toString()).toBe("hello\n");
      expect(status).toMatchObject({ code: 0, outOfMemory: false });
      expect(status.at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    },
  },
  {
    title: "nothing of the program runs before start",
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.print("stdout", "early"));
      const attachment = await sandbox.main.attach(OUTPUT, stage.call);
      let seen = false;
      const reading = read(attachment).then((output) => {
        seen = true;
        return output;
      });
      await pause(200);
      expect(seen).toBe(false);
      await sandbox.start(stage.call);
      expect((await reading).stdout.toString()).toBe("early");
    },
  },
  {
    title: "the reason of an end by itself is exited, and of an end from outside ended",
    async run(stage) {
      const first = await stage.raise(stage.say.exit(3));
      await first.sandbox.start(stage.call);
      expect(await first.sandbox.ended).toMatchObject({ kind: "exited", status: { code: 3 } });
      const second = await stage.raiseSleeper();
      await second.sandbox.end(stage.call);
      expect(await second.sandbox.ended).toMatchObject({ kind: "ended", status: { code: 137 } });
    },
  },
  {
    title: "end ends a held sandbox, and may be asked for twice",
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.sleep(600));
      await sandbox.end(stage.call);
      await sandbox.end(stage.call);
      expect((await sandbox.ended).kind).toBe("ended");
    },
  },
  {
    title: "a second start is refused as UNCHANGED",
    async run(stage) {
      const { sandbox } = await stage.raiseSleeper();
      expect(await failureCode(sandbox.start(stage.call))).toBe("UNCHANGED");
    },
  },
  {
    title: "the same bundle is launched again after an end, and the workload's files are still there",
    async run(stage) {
      const { bundle, sandbox } = await stage.raise(stage.say.write("/kept", "still here"));
      await sandbox.start(stage.call);
      expect((await sandbox.ended).status.code).toBe(0);
      const again = await stage.driver.launch(bundle, stage.process(stage.say.read("/kept")), stage.call);
      expect((await stage.finish(again)).stdout.toString()).toBe("still here");
    },
  },
  {
    title: "a second prepare replaces the first and keeps what the workload wrote",
    async run(stage) {
      const { spec, bundle, sandbox } = await stage.raise(stage.say.write("/kept", "old file"));
      await sandbox.start(stage.call);
      expect((await sandbox.ended).status.code).toBe(0);
      const anew = await stage.driver.prepare({ ...spec, hostname: "renamed" }, bundle.directory, stage.call);
      const kept = await stage.driver.launch(anew, stage.process(stage.say.read("/kept")), stage.call);
      expect((await stage.finish(kept)).stdout.toString()).toBe("old file");
    },
  },
  {
    title: "what runs after a second prepare is told by the second",
    needsKernel: true,
    async run(stage) {
      const { spec, bundle } = await stage.prepare();
      const anew = await stage.driver.prepare({ ...spec, hostname: "renamed" }, bundle.directory, stage.call);
      const named = await stage.driver.launch(anew, stage.process(stage.say.hostname()), stage.call);
      expect((await stage.finish(named)).stdout.toString()).toBe("renamed\n");
    },
  },
  {
    title: "an aborted launch rejects CANCELLED and leaves nothing standing",
    async run(stage) {
      const { bundle } = await stage.prepare();
      const before = await stage.harness.snapshot();
      const abort = new AbortController();
      const launching = failureCode(stage.driver.launch(bundle, stage.process(stage.say.sleep(600)), plainCall(abort.signal)));
      abort.abort();
      const code = await launching;
      // One that was faster than the abort is ended here; every other must have undone itself.
      if (code === "none") {
        const found = await stage.driver.adopt(bundle, stage.call);
        if (found.state === "standing") await found.sandbox.end(stage.call);
      } else expect(code).toBe("CANCELLED");
      expect(await stage.harness.snapshot()).toEqual(before);
    },
  },
  {
    title: "a call that was aborted before it began changes nothing",
    async run(stage) {
      const { bundle } = await stage.prepare();
      const before = await stage.harness.snapshot();
      expect(await failureCode(stage.driver.launch(bundle, stage.process(stage.say.sleep(1)), plainCall(AbortSignal.abort())))).toBe("CANCELLED");
      expect(await stage.harness.snapshot()).toEqual(before);
    },
  },
  {
    title: "two sandboxes at once do not see each other",
    async run(stage) {
      const one = await stage.raise(stage.say.write("/mine", "one"), {}, { hostname: "one" });
      const two = await stage.raise(stage.say.read("/mine"), {}, { hostname: "two" });
      expect((await stage.finish(one.sandbox)).status.code).toBe(0);
      expect((await stage.finish(two.sandbox)).status.code).not.toBe(0);
    },
  },
];
