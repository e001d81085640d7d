/**
 * Client ↔ daemon, the one-round-trip run: `POST /bulkhead/v1/run?name=NAME&platform=OS/ARCH`, upgraded.
 *
 *     client     Connection: Upgrade, Upgrade: bulkhead-run, Content-Type: application/json, Content-Length;
 *                body: exactly the body of `POST /containers/create` (AttachStdin/out/err and OpenStdin say what is joined)
 *     daemon     101 with the same two headers, then frames of `frame.ts`, all with process 0 — or, before the upgrade, an
 *                ordinary error status with a body {message, code, what, remedy, …}: 404 NOT_FOUND where the image is not there
 *
 * The daemon creates, attaches and starts; with `HostConfig.AutoRemove` it removes as well. Frames of output are stdout and
 * stderr; a terminal's output is stdout. Input is stdin frames and `end` with payload [1].
 * The client's connection may close at any time: that detaches, and the workload runs on.
 * `exited` comes after the last byte of output; with AutoRemove, name, ports and address are free by then.
 * A `failed` message is the daemon's last word: what had been made is removed.
 */

import type { FailureDocument } from "./failure.ts";
import type { ExitStatus } from "./process.ts";

export const RUN_UPGRADE = "bulkhead-run";

/** Messages from the daemon. */
export type RunNews =
  | { readonly event: "created"; readonly id: string; readonly warnings: readonly string[] }
  | { readonly event: "started" }
  | { readonly event: "exited"; readonly status: ExitStatus; readonly error?: string }
  | { readonly event: "failed"; readonly failure: FailureDocument };

/** Messages from the client. */
export type RunWish =
  | { readonly verb: "resize"; readonly rows: number; readonly columns: number }
  /** `SIGINT` and the like, to the main process. */
  | { readonly verb: "signal"; readonly signal: string };
