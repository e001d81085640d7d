/** The guide's commands that measure, a minute or two each. */

import { expect, onTestFinished, test } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";
import { guide, openTypist } from "../harness/guide.ts";

const FULL = process.env.BULKHEAD_FULL === "1";
if (!FULL) console.log("the guide's commands that measure: left to the long suite, npm run test:full");

test.skipIf(!FULL)("what the guide measures by runs to its end and prints its table", { timeout: 1_800_000 }, async () => {
  const daemon = await TestDaemon.open({ configuration: { templates: true } });
  onTestFinished(() => daemon.close());
  using typist = openTypist(daemon);
  for (const command of guide.long) {
    const outcome = await typist.type(command, 400_000);
    expect(outcome, command).toMatchObject({ code: 0 });
    expect(outcome.stdout, command).toMatch(/start to first byte[\s\S]*What the textbooks claim/);
    if (command.includes("--against")) expect(outcome.stdout).toMatch(/figures changed beyond noise/);
  }
});
