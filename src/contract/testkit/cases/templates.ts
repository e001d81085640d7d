import { expect } from "vitest";
import type { BundlePlace, Template } from "../../driver.ts";
import type { SandboxSpec } from "../../spec.ts";
import { failureCode, need, type Stage } from "../stage.ts";
import type { ConformanceCase } from "./case.ts";

export const TEMPLATE_CASES: readonly ConformanceCase[] = [
  {
    title: "two different workloads start at once from one template, each wholly its own, and within its own limits",
    needsTemplates: true,
    async run(stage) {
      const limits = { memoryBytes: stage.harness.smallMemoryBytes, memorySwapBytes: stage.harness.smallMemoryBytes };
      await withTemplate(stage, { limits }, async (template) => {
        const launch = async (hostname: string, command: readonly string[], changes: Partial<SandboxSpec> = {}) => {
          const { bundle } = await stage.prepare({ hostname, limits, ...changes });
          const main = stage.process(command, { environment: [`PATH=/bin:/usr/bin`, `WHO=${hostname}`] });
          return stage.finish(await need(stage.driver.templates).launch(template, bundle, main, stage.call));
        };
        const [one, two, greedy, many] = await Promise.all([
          launch("one", stage.say.hostname()),
          launch("two", stage.say.environment()),
          launch("greedy", stage.say.hog()),
          launch("many", stage.say.forks(40), { limits: { ...limits, pids: 12 } }),
        ]);
        expect(one.stdout.toString()).toBe("one\n");
        expect(two.stdout.toString()).toContain("WHO=two\n");
        expect(greedy.status).toMatchObject({ code: 137, outOfMemory: true });
        expect(many.stdout.toString()).not.toContain("made");
      });
    },
  },
  {
    title: "a clone sees the host's directory that its own run asks for",
    needsTemplates: true,
    needsHostPaths: true,
    async run(stage) {
      const source = await stage.harness.makeHostDirectory();
      await withTemplate(stage, {}, async (template) => {
        const launch = async (command: readonly string[], target: string) => {
          const { bundle } = await stage.prepare({ mounts: [{ kind: "bind", source, target, readOnly: false }] });
          return stage.finish(await need(stage.driver.templates).launch(template, bundle, stage.process(command), stage.call));
        };
        expect((await launch(stage.say.write("/here/word", "left by one"), "/here")).status.code).toBe(0);
        expect((await launch(stage.say.read("/there/word"), "/there")).stdout.toString()).toBe("left by one");
      });
    },
  },
  {
    title: "clones of one template share no random numbers",
    needsTemplates: true,
    async run(stage) {
      await withTemplate(stage, {}, async (template) => {
        const draw = async () => {
          const { bundle } = await stage.prepare();
          const sandbox = await need(stage.driver.templates).launch(template, bundle, stage.process(stage.say.random(64)), stage.call);
          expect(sandbox.identity.start).toBe("template");
          return (await stage.finish(sandbox)).stdout;
        };
        const drawn = await Promise.all([draw(), draw()]);
        expect(drawn.map(({ length }) => length)).toEqual([64, 64]);
        // No run of bytes in common, wherever: by chance four bytes meet once in a million times.
        const runs = ([bytes]: readonly Buffer[]) => Array.from({ length: 61 }, (_, at) => bytes?.toString("hex", at, at + 4));
        const of = (at: number) => runs(drawn.slice(at, at + 1));
        expect(of(0).filter((four) => of(1).includes(four))).toEqual([]);
      });
    },
  },
  {
    title: "a template is found again by a new driver, and not after its removal",
    needsTemplates: true,
    async run(stage) {
      await withTemplate(stage, {}, async (template, place) => {
        await need(stage.driver.templates).launch(template, (await stage.prepare()).bundle, stage.process(stage.say.exit(3)), stage.call);
        stage.driver = await stage.harness.reopen();
        await stage.driver.probe(stage.call);
        const found = need(stage.driver.templates).find(place.directory);
        expect(found).toEqual(template);
        const { bundle } = await stage.prepare();
        const sandbox = await need(stage.driver.templates).launch(need(found), bundle, stage.process(stage.say.exit(3)), stage.call);
        expect((await stage.finish(sandbox)).status.code).toBe(3);
        await stage.driver.remove(place, stage.call);
        expect(need(stage.driver.templates).find(place.directory)).toBeUndefined();
      });
    },
  },
  {
    title: "a template whose files are damaged fails its launch, leaves nothing, and the same bundle starts cold",
    needsTemplates: true,
    async run(stage) {
      await withTemplate(stage, {}, async (template, place) => {
        const damage = need(stage.harness.damageTemplate);
        await damage(place.directory);
        const { bundle } = await stage.prepare();
        const main = stage.process(stage.say.exit(4));
        expect(await failureCode(need(stage.driver.templates).launch(template, bundle, main, stage.call))).not.toBe("none");
        expect((await stage.finish(await stage.driver.launch(bundle, main, stage.call))).status.code).toBe(4);
      });
    },
  },
];

/** A template of the harness's usual shape with these changes, removed at the end. */
async function withTemplate(stage: Stage, changes: Partial<SandboxSpec>, work: (template: Template, place: BundlePlace) => Promise<void>): Promise<void> {
  const { workload } = await stage.harness.makeSpec();
  const place: BundlePlace = { kind: stage.driver.kind, workload, directory: stage.harness.directoryOf(workload) };
  try {
    const { bundle } = await stage.prepare(changes);
    await work(await need(stage.driver.templates).bake(bundle, place, stage.call), place);
  } finally {
    await stage.clear();
    await stage.driver.remove(place, stage.call);
  }
}
