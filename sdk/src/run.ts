/**
 * The one-round-trip run: create, attach, start and the exit status over one connection. The wire is described in
 * the daemon's contract, `run-protocol.ts`.
 */

import { readSocket, writeSocket, type Attached } from "./attached.ts";
import type { CreateDocument } from "./documents.ts";
import { Failure, failureFromDocument } from "./failure.ts";
import { encodeFrame, FRAME_KIND, readFrames, type Frame } from "./frame.ts";
import type { OutputChunk } from "./multiplex.ts";
import type { Transport } from "./transport.ts";
import type { Cancellable } from "./workloads.ts";

export const RUN_UPGRADE = "bulkhead-run";

export interface ExitStatus {
  readonly code: number;
  readonly signal?: string;
  readonly outOfMemory: boolean;
  readonly at: string;
}

export interface Run extends Attached {
  /** Resolves with id and warnings once it was made. Rejects as `ended` does where that never happened. */
  readonly created: Promise<{ readonly id: string; readonly warnings: readonly string[] }>;
  /** Resolves when the main process was let go. Rejects as `ended` does where that never happened. */
  readonly started: Promise<void>;
  /**
   * Settles after `output` has been read to its end. Rejects with the daemon's failure, or CONNECTION_LOST where the
   * connection ended without a last word; the workload may then still run.
   */
  readonly ended: Promise<ExitStatus>;
  resizeTerminal(size: { readonly rows: number; readonly columns: number }): void;
  /** `SIGINT` and the like, to the main process. */
  signal(name: string): void;
}

type News =
  | { readonly event: "created"; readonly id: string; readonly warnings?: readonly string[] }
  | { readonly event: "started" }
  | { readonly event: "exited"; readonly status: ExitStatus; readonly error?: string }
  | { readonly event: "failed"; readonly failure: unknown };

/** Rejects as `create` does: NOT_FOUND where the image is not there. */
export async function beginRun(
  transport: Transport,
  document: CreateDocument,
  options: { readonly name?: string | undefined; readonly platform?: string | undefined } & Cancellable = {},
): Promise<Run> {
  const query = { name: options.name, platform: options.platform };
  const { socket } = await transport.hijack({ method: "POST", path: "/bulkhead/v1/run", query, body: document, signal: options.signal }, RUN_UPGRADE);
  const created = Promise.withResolvers<{ id: string; warnings: readonly string[] }>();
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<ExitStatus>();
  created.promise.catch(() => undefined);
  started.promise.catch(() => undefined);
  ended.promise.catch(() => undefined);
  const tell = (wish: object): void => {
    if (!socket.destroyed && !socket.writableEnded) socket.write(encodeFrame(FRAME_KIND.message, Buffer.from(JSON.stringify(wish))));
  };
  // Without effect on what was heard before.
  const fail = (failure: Failure): void => {
    created.reject(failure);
    started.reject(failure);
    ended.reject(failure);
  };
  const hear = (news: News): void => {
    if (news.event === "created") created.resolve({ id: news.id, warnings: news.warnings ?? [] });
    else if (news.event === "started") started.resolve();
    else if (news.event === "exited") ended.resolve(news.status);
    else if (news.event === "failed") {
      fail(failureFromDocument(news.failure));
    }
  };
  return {
    created: created.promise,
    started: started.promise,
    ended: ended.promise,
    output: readOutput(readFrames(readSocket(socket)), hear, fail),
    write: async (bytes) => {
      for (let offset = 0; offset < bytes.length; offset += 65536)
        await writeSocket(socket, encodeFrame(FRAME_KIND.stdin, bytes.subarray(offset, offset + 65536)));
    },
    endInput: () => {
      if (!socket.destroyed && !socket.writableEnded) socket.write(encodeFrame(FRAME_KIND.end, Uint8Array.of(FRAME_KIND.stdin)));
    },
    close: () => void socket.destroy(),
    resizeTerminal: (size) => tell({ verb: "resize", rows: size.rows, columns: size.columns }),
    signal: (name) => tell({ verb: "signal", signal: name }),
  };
}

async function* readOutput(frames: AsyncIterable<Frame>, hear: (news: News) => void, lost: (failure: Failure) => void): AsyncGenerator<OutputChunk> {
  try {
    for await (const frame of frames) {
      if (frame.kind === FRAME_KIND.stdout) yield { stream: "stdout", bytes: frame.payload };
      else if (frame.kind === FRAME_KIND.stderr) yield { stream: "stderr", bytes: frame.payload };
      else if (frame.kind === FRAME_KIND.message) {
        const news = JSON.parse(Buffer.from(frame.payload).toString("utf8")) as News;
        hear(news);
        if (news.event === "exited" || news.event === "failed") return;
      }
    }
  } finally {
    lost(
      new Failure("CONNECTION_LOST", "the daemon closed the connection before the workload's exit was known", {
        remedy: "the workload may still run: look with `bulkhead ps -a`",
      }),
    );
  }
}
