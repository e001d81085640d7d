import { expect } from "vitest";
import type { FacetName } from "../../driver.ts";
import { need, OUTPUT, readUntil } from "../stage.ts";
import type { ConformanceCase } from "./case.ts";

const FACETS: readonly FacetName[] = ["exec", "pause", "resize", "top", "snapshot", "files", "debug"];

export const FACET_CASES: readonly ConformanceCase[] = [
  {
    title: "the facets that the probe declares are exactly those that a sandbox has",
    async run(stage) {
      const { facets } = await stage.driver.probe(stage.call);
      const { sandbox } = await stage.raiseSleeper();
      expect(FACETS.filter((name) => sandbox[name] !== undefined).sort()).toEqual([...facets].sort());
    },
  },
  {
    title: "a paused workload stands still, and goes on where it was",
    needs: "pause",
    async run(stage) {
      const { sandbox } = await stage.raise(stage.say.tick(10_000, 20));
      const attachment = await sandbox.main.attach(OUTPUT, stage.call);
      const output = attachment.output[Symbol.asyncIterator]();
      await sandbox.start(stage.call);
      await readUntil(output, "tick 2\n");
      await need(sandbox.pause).pause(stage.call);
      // What was on its way when it stopped still arrives; then there is silence.
      let pending = output.next();
      const silence = () =>
        Promise.race([pending.then(() => "output" as const), new Promise<"silence">((resolve) => void setTimeout(resolve, 400, "silence"))]);
      for (let drained = 0; (await silence()) === "output" && drained < 20; drained++) pending = output.next();
      expect(await silence()).toBe("silence");
      await need(sandbox.pause).resume(stage.call);
      expect((await pending).done).not.toBe(true);
    },
  },
  {
    title: "top lists the main process under its titles",
    needs: "top",
    async run(stage) {
      const { sandbox } = await stage.raiseSleeper();
      const { titles, rows } = await need(sandbox.top).processes(stage.call);
      expect(titles.length).toBeGreaterThan(1);
      for (const row of rows) expect(row.length).toBe(titles.length);
      expect(rows.some((row) => row.join(" ").includes("sleep"))).toBe(true);
    },
  },
  {
    title: "the identity names the boundary, its engine and version; how it came up belongs to the sandbox alone",
    async run(stage) {
      const { sandbox } = await stage.raiseSleeper();
      const { identity } = await stage.driver.probe(stage.call);
      const { start, ...lasting } = sandbox.identity;
      expect(lasting).toEqual(identity);
      expect([undefined, "cold"]).toContain(start);
      expect(sandbox.identity.kind).toBe(stage.driver.kind);
    },
  },
];
