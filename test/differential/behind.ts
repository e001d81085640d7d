/** One case behind one boundary, through the command line as a user types it. */

import { join } from "node:path";
import { CHECKOUT, type CommandOutcome, run, type TestDaemon } from "../harness/daemon.ts";
import type { DifferentialCase } from "./cases.ts";

export function runBehind(daemon: TestDaemon, boundary: string, image: string, one: DifferentialCase): Promise<CommandOutcome> {
  const flags = [
    ...(one.environment ?? []).flatMap((variable) => ["-e", variable]),
    ...(one.workingDirectory === undefined ? [] : ["-w", one.workingDirectory]),
    ...(one.user === undefined ? [] : ["-u", one.user]),
    ...(one.input === undefined ? [] : ["-i"]),
  ];
  const words = ["run", "--rm", "--network", "none", "--isolation", boundary, ...flags, image, "sh", "-c", one.script];
  return run(join(CHECKOUT, "bin/bulkhead"), words, { BULKHEAD_HOST: daemon.host }, { input: one.input ?? "" });
}
