/** Every program in examples/ does what its first comment says, against a real daemon. */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHECKOUT, run, TestDaemon } from "../harness/daemon.ts";

const root = process.getuid?.() === 0;
if (!root) console.log("examples: skipped, because the launcher needs root");

describe.skipIf(!root)("the examples", () => {
  let daemon: TestDaemon;
  beforeAll(async () => {
    daemon = await TestDaemon.open();
  });
  afterAll(() => daemon.close());

  const example = (name: string, isolation: string) =>
    run(process.execPath, [join(CHECKOUT, "examples", name), isolation], { BULKHEAD_HOST: daemon.host }, { timeoutMs: 110_000 });

  const EXPECTED: Readonly<Record<string, string>> = {
    "untrusted-code.ts": "ada: exit 0: 42\nmallory: took too long\nthe control: exit 0: HTTP/1.1 200 OK, nc ended with 0\neve: exit 0: nc ended with 1\n",
    "follow-logs.ts": "stdout: tick 1\nstdout: tick 2\nstdout: tick 3\nstderr: done\n",
    "ci-job.ts": "checkout: exit 0\nbuild: exit 0\ntest: 2\ntest: exit 0\n",
  };

  it("are all tried here", () => {
    expect(
      readdirSync(join(CHECKOUT, "examples"))
        .filter((name) => name.endsWith(".ts"))
        .toSorted(),
    ).toEqual(Object.keys(EXPECTED).toSorted());
  });

  for (const isolation of ["container", "microvm"])
    for (const [name, output] of Object.entries(EXPECTED))
      it(`${name} runs behind ${isolation}`, async () => {
        expect(await example(name, isolation)).toEqual({ code: 0, stdout: output, stderr: "" });
        expect(await daemon.client.workloads.list({ all: true })).toEqual([]);
        expect((await daemon.client.volumes.list()).map(({ Name }) => Name)).toEqual([]);
      });
});
