/** Every command of the README's minute's tour, as it stands there, on a real daemon. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CHECKOUT, run, TestDaemon } from "../harness/daemon.ts";
import { readBaseline } from "./chaos/inhabitants.ts";

/** Lines that begin with `$ ` in the fenced console blocks below the heading; a backslash at the end joins the next. */
function readTour(): string[] {
  const [, rest = ""] = readFileSync(join(CHECKOUT, "README.md"), "utf8").split(/^## A minute's tour$/m);
  const [section = ""] = rest.split(/^## /m);
  const blocks = [...section.matchAll(/^```console\n([\s\S]*?)^```$/gm)].map(([, block]) => (block ?? "").replaceAll(/\\\n\s*/g, ""));
  return blocks.flatMap((block) => [...block.matchAll(/^\$ (.*)$/gm)].map(([, command]) => command ?? ""));
}

const tour = readTour();
/** What is shown where it is sure what it will be. */
const SHOWN: readonly (readonly [RegExp, RegExp])[] = [
  [/ echo hello$/, /^hello\n$/],
  [/exec web wget/, /It works/],
  [/ ps$/, /\bweb\b/],
  [/\.Boundary/, /"kind":"microvm"/],
];

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.open();
  await readBaseline(daemon);
});
afterAll(() => daemon.close());

it("has commands, with run, exec and rm among them", () => {
  expect(tour.length).toBeGreaterThan(5);
  for (const verb of ["run", "exec", "rm"]) expect(tour.join("\n")).toMatch(new RegExp(`^bin/bulkhead ${verb} `, "m"));
});

it("runs to its end, command by command, and leaves nothing behind", async () => {
  const before = await readBaseline(daemon);
  for (const command of tour) {
    // As a reader types it: in the checkout, on the daemon that is there.
    const outcome = await run("sh", ["-c", `cd ${CHECKOUT} && ${command}`], { BULKHEAD_HOST: daemon.host }, { timeoutMs: 180_000 });
    expect(outcome, command).toMatchObject({ code: 0 });
    for (const [which, shown] of SHOWN) if (which.test(command)) expect(outcome.stdout, command).toMatch(shown);
  }
  expect(await daemon.client.workloads.list({ all: true })).toEqual([]);
  expect(await daemon.settledTraces(before)).toEqual(before);
}, 300_000);
