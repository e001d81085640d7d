/**
 * A sandbox whose main program turned out, while it was raised, not to be there or not to be a program. The contract tells
 * that at `start`, because some boundaries can only know it then; nothing stands meanwhile, and nothing has to be cleared.
 */

import type { BoundaryIdentity } from "../contract/boundary.ts";
import type { FacetName } from "../contract/driver.ts";
import { Failure, quote } from "../contract/failure.ts";
import type { Attachment, ExitStatus, Process } from "../contract/process.ts";
import type { EndReason, Sandbox } from "../contract/sandbox.ts";
import { nowInNanoseconds } from "./exit-record.ts";

const EXIT_CODES = { COMMAND_NOT_FOUND: 127, COMMAND_NOT_EXECUTABLE: 126 } as const;

/** Whether a failed launch is one that `start` has to tell. */
export function isAboutCommand(failure: Failure): boolean {
  return failure.code in EXIT_CODES;
}

export function createStillborn(options: {
  readonly workload: string;
  /** The program that was asked for: runtimes do not always name it. */
  readonly program: string;
  readonly identity: BoundaryIdentity;
  readonly failure: Failure;
  readonly facets: readonly FacetName[];
}): Sandbox {
  const { workload, identity } = options;
  const named = options.failure.message.includes(options.program);
  const failure = new Failure(options.failure.code, named ? options.failure.message : `exec: ${quote(options.program)}: ${options.failure.message}`, {
    workload,
    boundary: identity.kind,
    ...(options.failure.remedy === undefined ? {} : { remedy: options.failure.remedy }),
    cause: options.failure,
  });
  const ended = Promise.withResolvers<EndReason>();
  let over = false;
  const end = (kind: "exited" | "ended", code: number) => {
    over = true;
    ended.resolve({ kind, status: { code, outOfMemory: false, at: nowInNanoseconds() } satisfies ExitStatus });
  };
  const refuse = () => Promise.reject(new Failure("WRONG_STATE", "The main process does not run", { workload, boundary: identity.kind }));
  const main: Process = {
    number: 0,
    hostPid: undefined,
    exited: ended.promise.then(({ status }) => status),
    attach: async (_how, call) => attachToNothing(ended.promise, call.signal),
    signal: async () => !over,
    resizeTerminal: refuse,
  };
  const has = (name: FacetName) => options.facets.includes(name);
  return {
    identity,
    main,
    ended: ended.promise,
    start: async () => {
      end("exited", EXIT_CODES[failure.code as keyof typeof EXIT_CODES]);
      throw failure;
    },
    stats: refuse,
    end: async () => end("ended", 137),
    ...(has("exec") ? { exec: { run: refuse, find: () => undefined } } : {}),
    ...(has("pause") ? { pause: { pause: refuse, resume: refuse } } : {}),
    ...(has("resize") ? { resize: { update: refuse } } : {}),
    ...(has("top") ? { top: { processes: refuse } } : {}),
    ...(has("files") ? { files: { stat: refuse, read: refuse, write: refuse } } : {}),
    ...(has("debug") ? { debug: { run: refuse } } : {}),
  };
}

function attachToNothing(ended: Promise<unknown>, signal: AbortSignal): Attachment {
  const closed = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => closed.resolve(), { once: true });
  const over = Promise.race([ended, closed.promise]);
  return {
    output: { [Symbol.asyncIterator]: () => ({ next: () => over.then(() => ({ value: undefined, done: true as const })) }) },
    write: async () => {},
    endInput: async () => {},
    close: () => closed.resolve(),
  };
}
