/**
 * Where the program begins. `version` is answered here, because scripts ask it often and everything else that is loaded
 * costs more than the answer; every other verb is in `program.ts`, whose compiled form Node keeps beside it.
 */

import { writeSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { findQuickVersion } from "../../sdk/src/quick-version.ts";
import { findSocketPath } from "../../sdk/src/address.ts";
import { showVersions } from "./show-versions.ts";
import { CLIENT_VERSION, IS_BUILT } from "./version.ts";

async function main(argv: readonly string[]): Promise<number> {
  const only = argv.length === 1 ? argv[0] : undefined;
  if (only === "--version" || only === "-v") {
    writeSync(1, `bulkhead version ${CLIENT_VERSION}\n`);
    return 0;
  }
  if (only === "version") {
    const answered = await answerVersion();
    if (answered) return 0;
  }
  if (IS_BUILT) enableCompileCache(`${import.meta.dirname}/.compiled`);
  const { runProgram } = await import("./program.ts");
  return runProgram(argv);
}

/** False where the answer is not as it should be: then the long way tells why. */
async function answerVersion(): Promise<boolean> {
  try {
    const path = findSocketPath(undefined);
    const server = await findQuickVersion(path);
    if (server === undefined) return false;
    writeSync(1, showVersions(`unix://${path}`, server));
    return true;
  } catch {
    return false;
  }
}

// Everything was written when it was told to be: nothing is lost by ending here, and nothing that still listens holds us up.
main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (thrown: unknown) => {
    process.stderr.write(`bulkhead: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    process.exit(1);
  },
);
