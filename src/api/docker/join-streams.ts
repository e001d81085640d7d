/** Joins a hijacked connection with a process's stdio until either side has had enough. */

import type { Attachment } from "../../contract/process.ts";
import type { RawConnection } from "../hijack.ts";
import { untilAborted } from "../until-aborted.ts";
import { DetachWatch } from "./detach-keys.ts";
import { streamHeader } from "./multiplex.ts";

export interface JoinOptions {
  readonly terminal: boolean;
  readonly stdin: boolean;
  /** Only looked for in a terminal. */
  readonly detachKeys: readonly number[];
  /** Instead of ending the process's input, when the client ends its own. */
  readonly inputEnded?: () => Promise<void>;
  /** Awaited between the last byte of output and the end of the connection. */
  readonly beforeEnd?: () => Promise<void>;
}

/** Resolves when the output has ended or the client has detached or gone; the process is not ended by any of it. */
export async function joinStreams(connection: RawConnection, attachment: Attachment, options: JoinOptions): Promise<void> {
  let detached = false;
  const watch = options.terminal ? new DetachWatch(options.detachKeys) : undefined;
  connection.receive(
    async (chunk) => {
      if (!options.stdin || detached) return;
      const { pass, detached: leaves } = watch?.read(chunk) ?? { pass: chunk, detached: false };
      if (pass.length > 0) await attachment.write(pass);
      if (!leaves) return;
      detached = true;
      attachment.close();
      connection.finish();
    },
    () => {
      // Clients without input close their half at once and go on reading.
      if (options.stdin && !detached) (options.inputEnded?.() ?? attachment.endInput()).catch(() => undefined);
    },
  );
  try {
    for await (const { stream, bytes } of untilAborted(attachment.output, connection.signal)) {
      if (detached) break;
      if (options.terminal) await connection.send(bytes);
      else await connection.sendPieces([streamHeader(stream, bytes.length), bytes]);
    }
    if (!detached && !connection.signal.aborted) await options.beforeEnd?.();
  } finally {
    attachment.close();
    if (!detached) connection.finish();
  }
}
