/** Every command of the guide that does not measure, as it stands there, on a real daemon. What measures is typed by the long suite. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";
import { guide, missingFor, openTypist } from "../harness/guide.ts";

/** What is shown where it is sure what it will be. */
const SHOWN: readonly (readonly [RegExp, RegExp])[] = [
  [/isolation container busybox uname/, /^\d+\.\d+\S*\n$/],
  [/isolation gvisor +busybox uname/, /^\d+\.\d+\S*\n$/],
  [/isolation microvm +busybox uname/, /^\d+\.\d+\S*\n$/],
  [/--name seen/, /^\d+ .*sleep 300$/m],
  [/--name unseen/, /qemu-system/],
  [/doctor/, /container \(usable/],
  [/memory=256m.* --host cpus/, /container.*cpu/],
  [/memory=16m/, /container.*memory/],
  [/--host-type/, /Which hosts\n.*a month, and no mix of these types costs less than/],
  [/audit -- docker run --privileged/, /CRITICAL|HIGH|critical|high/],
  [/--trust own busybox/, /^container/],
  [/assume kvm=yes/, /^microvm/],
  [/needs\.yaml --json/, /"schemaVersion": 1[\s\S]*"trust": "untrusted"/],
  [/--compose/, /^web: container[\s\S]*^jobs: (?!container)/m],
  [/--explain/, /host kernel[\s\S]*application/],
  [/--isolation auto/, /^chosen\n$/],
];
/** An audit's exit code tells how bad it is. */
const mayFind = (command: string): readonly number[] => (command.startsWith("bulkhead audit") ? [0, 1] : [0]);

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.open();
});
afterAll(() => daemon.close());

it("has commands of every chapter", () => {
  for (const [which] of SHOWN) expect(guide.short.filter((command) => which.test(command)).length, String(which)).toBeGreaterThan(0);
  expect(guide.long.length).toBeGreaterThan(2);
});

it("runs to its end, command by command, and leaves no workload", async () => {
  const missing = await missingFor(daemon);
  using typist = openTypist(daemon);
  for (const command of guide.short) {
    const why = missing(command);
    if (why !== "") console.log(`guide: left out is \`${command}\`, because ${why}`);
    if (why !== "") continue;
    const outcome = await typist.type(command, 120_000);
    expect(mayFind(command), `${command}: ${outcome.stderr}`).toContain(outcome.code);
    for (const [which, shown] of SHOWN) if (which.test(command)) expect(outcome.stdout, command).toMatch(shown);
  }
  expect(await daemon.client.workloads.list({ all: true })).toEqual([]);
}, 300_000);
