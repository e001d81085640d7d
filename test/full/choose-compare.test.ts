/** `compare` with the raw mechanisms beneath: a minute or two of measuring, so it is left to the long suite. No figure is judged here. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, onTestFinished, test } from "vitest";
import { CHECKOUT, run, TestDaemon } from "../harness/daemon.ts";

const FULL = process.env.BULKHEAD_FULL === "1";
if (!FULL) console.log("compare with raw mechanisms: left to the long suite, npm run test:full");

interface Document {
  readonly subjects: readonly { readonly id: string }[];
  readonly series: readonly { readonly metric: string; readonly subject: string; readonly summary: { readonly n: number } }[];
  readonly gaps: readonly { readonly subject: string; readonly metric: string }[];
  readonly comparisons: readonly { readonly metric: string; readonly verdict: string }[];
}

test.skipIf(!FULL)(
  "a quick compare has memory and disk of each boundary and of the raw mechanisms, or says why not, and which boundaries it tells apart",
  { timeout: 600_000 },
  async () => {
    const daemon = await TestDaemon.open({ configuration: { templates: true } });
    onTestFinished(() => daemon.close());
    const file = join(daemon.root, "here.json");
    const outcome = await run(join(CHECKOUT, "bin/bulkhead"), ["compare", "--quick", `--json=${file}`], { BULKHEAD_HOST: daemon.host }, { timeoutMs: 500_000 });
    expect(outcome, outcome.stderr).toMatchObject({ code: 0 });
    const document = JSON.parse(readFileSync(file, "utf8")) as Document;
    const validate = new Ajv2020().compile(JSON.parse(readFileSync(join(CHECKOUT, "docs/compare.schema.json"), "utf8")) as object);
    validate(document);
    expect(validate.errors).toBeNull();
    const raised = document.subjects.filter(({ id }) => id !== "raw-host");
    expect(raised.map(({ id }) => id)).toEqual(expect.arrayContaining(["container", "raw-crun"]));
    for (const { id } of raised)
      for (const metric of ["memory_overhead", "disk_per_instance"]) {
        const found = document.series.find((one) => one.subject === id && one.metric === metric);
        const gap = document.gaps.find((one) => one.subject === id && ["all", "memory and disk"].includes(one.metric));
        expect(found ?? gap, `${metric} of ${id}`).toBeDefined();
      }
    const compared = document.comparisons.filter(({ metric }) => metric === "startup_to_ready");
    expect(compared.length).toBe(
      (raised.filter(({ id }) => !id.startsWith("raw-")).length * (raised.filter(({ id }) => !id.startsWith("raw-")).length - 1)) / 2,
    );
  },
);
