/** Archives that a verb reads: a file, or stdin. */

import { createReadStream } from "node:fs";
import type { ProgressLine } from "../../sdk/src/index.ts";
import { UsageError } from "./command.ts";
import { openGivenFile } from "./given-file.ts";
import { isTerminal } from "./output.ts";
import type { ProgressView } from "./terminal/progress.ts";

/** `-` or nothing is stdin, which must not be a terminal. How much was read is shown where the whole is known. */
export async function* readArchive(path: string | undefined, view: ProgressView | undefined): AsyncGenerator<Uint8Array> {
  if (path === undefined || path === "-") {
    if (isTerminal(0)) throw new UsageError("an archive is needed, and stdin is a terminal", "name a file, or pipe one in");
    for await (const chunk of process.stdin) yield chunk as Uint8Array;
    return;
  }
  const { descriptor, size: total } = openGivenFile(path);
  const id = path.split("/").at(-1) ?? path;
  let current = 0;
  let shown = 0;
  for await (const chunk of createReadStream(path, { fd: descriptor, highWaterMark: 1024 * 1024 })) {
    const bytes = chunk as Uint8Array;
    yield bytes;
    current += bytes.length;
    if (performance.now() - shown > 100 || current === total) {
      shown = performance.now();
      const line: ProgressLine = { id, status: current === total ? "Sent" : "Sending", progressDetail: { current, total } };
      view?.show(line);
    }
  }
}
