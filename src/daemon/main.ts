/**
 * The daemon's program: reads its configuration, raises everything, says that it is ready, and lets go when told to.
 *
 *   exit 0   told to stop        exit 1   could not be raised; one sentence and a remedy on standard error
 *   exit 2   the command line or the configuration is wrong
 */

import { type Failure, REMEDIES, toFailure } from "../contract/failure.ts";
import { announceReady } from "../host/readiness.ts";
import { openDaemon } from "./assembly.ts";
import { readConfiguration } from "./configuration.ts";
import { createLog } from "./logging.ts";
import { VERSION } from "./version.ts";

process.exit(await main(process.argv.slice(2)));

async function main(argv: readonly string[]): Promise<number> {
  try {
    const configuration = readConfiguration(argv);
    if (typeof configuration === "string") {
      process.stdout.write(configuration);
      return 0;
    }
    const log = createLog(configuration.logLevel ?? "info");
    const daemon = await openDaemon(configuration, log);
    process.stdout.write(`bulkhead: listening on ${daemon.places.socket}\n`);
    log.info({ version: VERSION, root: daemon.places.root, socket: daemon.places.socket }, "the daemon is ready");
    await announceReady();
    const signal = await stopSignal();
    log.info({ signal }, "the daemon lets go; workloads go on");
    // A second signal is impatience: everything that matters is on disk already.
    for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => process.exit(1));
    await daemon.close();
    return 0;
  } catch (thrown) {
    return tell(toFailure(thrown));
  }
}

function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => resolve(name));
    process.on("SIGHUP", () => {}); // a closed terminal is no reason to stop
  });
}

function tell(failure: Failure): number {
  process.stderr.write(`bulkhead: ${failure.message}\nRemedy: ${failure.remedy ?? REMEDIES[failure.code]}\n`);
  if (failure.code === "INTERNAL") process.stderr.write(`${failure.cause instanceof Error ? failure.cause.stack : failure.stack}\n`);
  return failure.code === "INVALID_SPEC" ? 2 : 1;
}
