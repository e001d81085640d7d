/** The suite must be able to fail: each of these drivers breaks one promise, and the case that watches it says so. */

import { appendFileSync } from "node:fs";
import { expect, it } from "vitest";
import type { BoundaryDriver } from "../driver.ts";
import type { Sandbox } from "../sandbox.ts";
import { CONFORMANCE_CASES, runCase } from "./conformance.ts";
import { makeFakeHarness } from "./fake-harness.ts";

type Sabotage = (driver: BoundaryDriver) => BoundaryDriver;

/** The driver's own methods, but with some sandboxes changed. */
const withSandbox =
  (change: (sandbox: Sandbox) => Partial<Sandbox>): Sabotage =>
  (driver) => ({
    ...driver,
    launch: async (bundle, main, call) => {
      const sandbox = await driver.launch(bundle, main, call);
      return { ...sandbox, ...change(sandbox) };
    },
  });

const BROKEN: readonly (readonly [what: string, title: string, sabotage: Sabotage])[] = [
  [
    "lets the program go at launch",
    "nothing of the program runs before start",
    (driver) => ({
      ...driver,
      launch: async (bundle, main, call) => {
        const sandbox = await driver.launch(bundle, main, call);
        await sandbox.start(call);
        return { ...sandbox, start: async () => {} };
      },
    }),
  ],
  [
    "says paused and does not pause",
    "a paused workload stands still, and goes on where it was",
    withSandbox(() => ({ pause: { pause: async () => {}, resume: async () => {} } })),
  ],
  [
    "has a facet that it does not declare",
    "the facets that the probe declares are exactly those that a sandbox has",
    (driver) => ({ ...driver, probe: async (call) => ({ ...(await driver.probe(call)), facets: ["exec"] }) }),
  ],
  ["leaves what it should remove", "remove of a running sandbox ends it and leaves nothing", (driver) => ({ ...driver, remove: async () => {} })],
  [
    "finds nothing after a restart",
    "what ended while no daemon looked is told with its true code",
    (driver) => ({ ...driver, adopt: async () => ({ state: "not-launched" }) }),
  ],
  [
    "doubles a line of the log",
    "the log holds exactly the lines that were printed, with stream and instant, when ended is told",
    (driver) => ({
      ...driver,
      launch: async (bundle, main, call) => {
        const sandbox = await driver.launch(bundle, main, call);
        const line = `${JSON.stringify({ log: "tick 5\n", stream: "stdout", time: "2026-01-01T00:00:00.000000000Z" })}\n`;
        return { ...sandbox, ended: sandbox.ended.then((reason) => (appendFileSync(`${bundle.directory}/log.json`, line), reason)) };
      },
    }),
  ],
  [
    "reports every end as a clean one",
    "exit code 42 is reported as it is",
    withSandbox((sandbox) => ({ ended: sandbox.ended.then((reason) => ({ ...reason, status: { ...reason.status, code: 0 } })) })),
  ],
  [
    "keeps out of memory to itself",
    "more memory than the limit is fatal, and reported as out of memory",
    withSandbox((sandbox) => ({ ended: sandbox.ended.then((reason) => ({ ...reason, status: { ...reason.status, outOfMemory: false } })) })),
  ],
  [
    "runs an exec without its user",
    "an exec runs as the user that it asks for",
    withSandbox(({ exec }) =>
      exec === undefined
        ? {}
        : { exec: { find: (which) => exec.find(which), run: (process, attach, call) => exec.run({ ...process, user: "" }, attach, call) } },
    ),
  ],
];

it.each(BROKEN)("a driver that %s is found out", async (_what, title, sabotage) => {
  const sound = await makeFakeHarness();
  const one = Object.values(CONFORMANCE_CASES)
    .flat()
    .find((known) => known.title === title);
  if (one === undefined) throw new Error(`no case ${title}`);
  await runCase(one, sound);
  const broken = await makeFakeHarness(sabotage);
  await expect(runCase(one, broken)).rejects.toThrow();
  await sound.close();
  await broken.close();
});
