import { expect } from "vitest";
import { need } from "../stage.ts";
import type { ConformanceCase } from "./case.ts";

export const TEMPLATE_CASES: readonly ConformanceCase[] = [
  {
    title: "two different workloads start from one template, and each is wholly its own",
    needsTemplates: true,
    async run(stage) {
      const templates = need(stage.driver.templates);
      const spec = await stage.harness.makeSpec();
      const directory = await stage.harness.makeHostDirectory();
      const template = await templates.bake(spec, directory, stage.call);
      const launch = async (hostname: string, command: readonly string[]) => {
        const { bundle } = await stage.prepare({ hostname });
        return stage.finish(
          await templates.launch(template, bundle, stage.process(command, { environment: [`PATH=/bin:/usr/bin`, `WHO=${hostname}`] }), stage.call),
        );
      };
      const [one, two] = await Promise.all([launch("one", stage.say.hostname()), launch("two", stage.say.environment())]);
      expect(one.stdout.toString()).toBe("one\n");
      expect(two.stdout.toString()).toContain("WHO=two\n");
    },
  },
];
