/** `bulkhead compare` and `npm run bench`: a program of its own, that speaks to the daemon as users do. */

import { writeFileSync } from "node:fs";
import { Client } from "@bulkhead/sdk";
import { compare, defaultGaugePath } from "./compare.ts";
import { parseCompare, USAGE, UsageError } from "./options.ts";
import { insidePrivateMounts } from "./private-mounts.ts";
import { createProgress } from "./progress.ts";
import { renderTable } from "./report/table.ts";

async function main(argv: readonly string[]): Promise<number> {
  const options = parseCompare(argv);
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const outcome = insidePrivateMounts();
  if (outcome !== undefined) return outcome;
  const controller = new AbortController();
  // The first Ctrl-C ends the measuring and keeps what there is; a second one ends the program.
  process.once("SIGINT", () => controller.abort());
  const progress = createProgress(process.stderr);
  const client = new Client(options.host === undefined ? {} : { host: options.host });
  try {
    const context = { client, options, gaugePath: defaultGaugePath(import.meta.dirname), signal: controller.signal, progress };
    const document = await compare(context);
    const text = JSON.stringify(document, null, 1);
    if (options.json === "-") process.stdout.write(`${text}\n`);
    else {
      if (options.json !== undefined) writeFileSync(options.json, `${text}\n`);
      process.stdout.write(renderTable(document, process.stdout.isTTY && process.env["NO_COLOR"] === undefined));
    }
    return document.complete || !controller.signal.aborted ? 0 : 130;
  } finally {
    progress.clear();
    client.close();
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  const failure = thrown as { message?: string; remedy?: string };
  process.stderr.write(`bulkhead compare: ${failure.message ?? String(thrown)}\n`);
  if (failure.remedy !== undefined) process.stderr.write(`Remedy: ${failure.remedy}\n`);
  process.exitCode = thrown instanceof UsageError ? 125 : 1;
}
