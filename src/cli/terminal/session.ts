/** Joins this terminal with a process: keys in, output out, size and signals along. */

import { Failure, type Attached } from "../../../sdk/src/index.ts";
import { isTerminal, writeAll } from "../output.ts";
import { DetachWatch, parseDetachKeys } from "./detach-keys.ts";
import { enterRawMode, findScreenSize, watchScreenSize, type ScreenSize } from "./screen.ts";
import { passSignals } from "./signals.ts";

export interface SessionOptions {
  readonly attached: Attached;
  /** Whether the process has a terminal of its own. */
  readonly terminal: boolean;
  /** Whether this program's input goes to the process. */
  readonly stdin: boolean;
  readonly detachKeys: string;
  /** Tells the process's terminal its size; failures are not shown: a process that has ended has no size. */
  readonly resize?: (size: ScreenSize) => Promise<void> | void;
  /** Where signals go; absent: they do to this program what they always do. */
  readonly signal?: (name: string) => Promise<void> | void;
}

export interface Session {
  /** `ended` after the last byte of output was written, `detached` when the keys for it were pressed. Raw mode is over by then. */
  readonly done: Promise<"ended" | "detached">;
}

/** Begins at once; terminal modes are taken back whatever happens. */
export function beginSession(options: SessionOptions): Session {
  const { attached } = options;
  const undo: (() => void)[] = [];
  const detached = Promise.withResolvers<"detached">();
  if (options.terminal && options.stdin) undo.push(enterRawMode());
  if (options.terminal && options.resize !== undefined) {
    const { resize } = options;
    const tellSize = (size: ScreenSize): void => void Promise.resolve(resize(size)).catch(() => undefined);
    undo.push(watchScreenSize(tellSize));
    const first = findScreenSize();
    if (first !== undefined) tellSize(first);
  }
  if (options.signal !== undefined) {
    const { signal } = options;
    undo.push(passSignals((name) => void Promise.resolve(signal(name)).catch(() => undefined)));
  }
  if (options.stdin) void feed(attached, options, () => detached.resolve("detached")).catch(() => undefined);
  const output = (async () => {
    for await (const { stream, bytes } of attached.output) writeAll(stream === "stdout" ? 1 : 2, bytes);
    return "ended" as const;
  })();
  const done = (async () => {
    try {
      return await Promise.race([output, detached.promise]);
    } finally {
      for (const step of undo.reverse()) step();
      output.catch(() => undefined);
      attached.close();
    }
  })();
  return { done };
}

async function feed(attached: Attached, options: SessionOptions, detach: () => void): Promise<void> {
  const watch = new DetachWatch(options.terminal && isTerminal(0) ? parseDetachKeys(options.detachKeys) : []);
  try {
    for await (const chunk of process.stdin) {
      const { forward, detached } = watch.pass(chunk as Uint8Array);
      if (forward.length > 0) await attached.write(forward);
      if (detached) {
        detach();
        return;
      }
    }
    attached.endInput();
  } catch (thrown) {
    // The process has ended, or reads no more: what it wrote still comes, and its exit code tells the rest.
    if (!(thrown instanceof Failure)) throw thrown;
  }
}

/** Rejects what can never work: a terminal fed from a file. */
export function requireTerminalInput(terminal: boolean, stdin: boolean): void {
  if (terminal && stdin && !isTerminal(0)) {
    throw new Failure("INVALID_SPEC", "cannot attach stdin to a terminal because stdin is not one", {
      remedy: "leave -t out: -i alone takes input from a pipe or a file",
    });
  }
}
