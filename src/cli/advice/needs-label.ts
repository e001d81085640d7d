/** What `run --trust` and `run --requirements` say travels as a label, which the stock client can set as well. */

import { Failure } from "../../../sdk/src/index.ts";
import { UsageError } from "../command.ts";
import type { Flags } from "../flags.ts";
import { isRecord, readDocument } from "./documents.ts";

export const REQUIREMENTS_LABEL = "dev.bulkhead.requirements";

/** Labels to add; none where neither option was given. */
export async function needsLabel(flags: Flags): Promise<Readonly<Record<string, string>>> {
  const file = flags.text("requirements");
  const trust = flags.text("trust");
  if (file === undefined && trust === undefined) return {};
  const document = file === undefined ? {} : await readDocument(file).catch(mistaken);
  return { [REQUIREMENTS_LABEL]: JSON.stringify(isRecord(document) && trust !== undefined ? { ...document, trust } : document) };
}

/** A file that an option of a run names is part of its command line, as --env-file's is. */
function mistaken(thrown: unknown): never {
  throw thrown instanceof Failure ? new UsageError(`--requirements: ${thrown.message}`, thrown.remedy) : thrown;
}
