/** `bulkhead compare` and `npm run bench`: a program of its own, that speaks to the daemon as users do. */

import { readFileSync, writeFileSync } from "node:fs";
import { Client } from "@bulkhead/sdk";
import { compare, type CompareContext, defaultGaugePath } from "./compare.ts";
import { checkGoals } from "./goals/check.ts";
import { isMet, renderGoals } from "./goals/goal.ts";
import { describeHost } from "./host.ts";
import { parseCompare, USAGE, UsageError } from "./options.ts";
import { comparePeers } from "./peers/compare-peers.ts";
import { renderPeers } from "./peers/peers-table.ts";
import { insidePrivateNamespaces } from "./private-namespaces.ts";
import { createProgress } from "./progress.ts";
import { reasonOf } from "./reason.ts";
import { renderPage } from "./report/page/page.ts";
import { readEarlier, renderChanges } from "./report/against.ts";
import type { CompareDocument } from "./report/document.ts";
import { requireWritable } from "./writable.ts";
import { renderTable } from "./report/table.ts";

async function main(argv: readonly string[]): Promise<number> {
  const options = parseCompare(argv);
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  // Read first: a wrong file is no end for minutes of measuring.
  const earlier = options.against === undefined ? undefined : readEarlier(readFileSync(options.against, "utf8"), options.against);
  requireWritable([options.json, options.html]);
  const outcome = insidePrivateNamespaces({ network: options.mode === "peers" });
  if (outcome !== undefined) return outcome;
  const controller = new AbortController();
  // The first Ctrl-C ends the measuring and keeps what there is; a second one ends the program.
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(name, () => {
      process.stderr.write("\nbulkhead compare: ending after the sample under way; what was measured is kept\n");
      controller.abort();
    });
  }
  const progress = createProgress(process.stderr);
  const client = new Client(options.host === undefined ? {} : { host: options.host });
  try {
    const context = { client, options, gaugePath: defaultGaugePath(import.meta.dirname), signal: controller.signal, progress };
    if (options.mode === "check") return await check(context);
    const colours = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;
    const document = options.mode === "peers" ? await comparePeers(context) : await compare(context);
    if ("claims" in document && (!options.brief || !(await hasFuller(client, document))) && (document.complete || !controller.signal.aborted))
      await keepForAdvice(client, document);
    if (options.html !== undefined && !("peers" in document)) writeFileSync(options.html, renderPage(document));
    const changes = earlier === undefined || "peers" in document ? "" : renderChanges(earlier, document);
    report(document, "peers" in document ? renderPeers(document) : renderTable(document, colours) + changes, options.json);
    return document.complete || !controller.signal.aborted ? 0 : 130;
  } finally {
    progress.clear();
    client.close();
  }
}

/** A glance is better ground for advice than a textbook, and takes the place of nothing that was looked at for longer. */
async function hasFuller(client: Client, document: CompareDocument): Promise<boolean> {
  try {
    return samplesOfStarts(await client.advisor.lastMeasurements()) > samplesOfStarts(document);
  } catch {
    return false; // none were kept
  }
}

function samplesOfStarts({ series }: { readonly series: readonly { readonly metric: string; readonly summary: { readonly n: number } }[] }): number {
  return Math.max(0, ...series.filter(({ metric }) => metric === "startup_to_ready").map(({ summary }) => summary.n));
}

/** The advisor reads summaries. An older daemon that keeps none is no reason to lose what was measured. */
async function keepForAdvice(client: Client, document: CompareDocument): Promise<void> {
  const { schemaVersion, measuredAt, subjects } = document;
  const series = document.series.map(({ samples: _samples, ...rest }) => rest);
  try {
    await client.advisor.keepMeasurements({ schemaVersion, measuredAt, subjects, series });
  } catch (thrown) {
    process.stderr.write(`bulkhead compare: the daemon did not keep the figures for \`bulkhead advise\`: ${reasonOf(thrown)}\n`);
  }
}

async function check(context: CompareContext): Promise<number> {
  const results = await checkGoals(context);
  const goals = results.map((result) => ({ ...result, met: isMet(result) }));
  report({ schemaVersion: 1, measuredAt: new Date().toISOString(), host: describeHost(), goals }, renderGoals(results), context.options.json);
  return results.every(isMet) ? 0 : 1;
}

/** The document where it was asked for (`-` is standard output), the page for people else. */
function report(document: object, page: string, json: string | undefined): void {
  const text = `${JSON.stringify(document, null, 1)}\n`;
  if (json !== undefined && json !== "-") writeFileSync(json, text);
  process.stdout.write(json === "-" ? text : page);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  const failure = thrown as { message?: string; remedy?: string };
  process.stderr.write(`bulkhead compare: ${failure.message ?? String(thrown)}\n`);
  if (failure.remedy !== undefined) process.stderr.write(`Remedy: ${failure.remedy}\n`);
  process.exitCode = thrown instanceof UsageError ? 125 : 1;
}
