/**
 * Files of a workload, running or not. One that runs is asked where it runs; one that does not is raised for it, main process held, and given up
 * again: nothing of its program runs, and its record says afterwards what it said before.
 *
 *     open (running: its sandbox │ else: take turn ─▶ raise) ─▶ stat, read or write ─▶ (read: the stream's end) ─▶ close (else: give up, next turn)
 */

import { dirname, join } from "node:path/posix";
import type { Call } from "../contract/call.ts";
import { Failure, quote, toFailure } from "../contract/failure.ts";
import type { FilesFacet, FileStat, Sandbox, WriteFilesOptions } from "../contract/sandbox.ts";
import { decompressed } from "../images/compression.ts";
import { announceWorkload } from "./announcement.ts";
import type { Context } from "./context.ts";
import type { FilesRead } from "./index.ts";
import { cleanInsidePath } from "./inside-paths.ts";
import { askRunning } from "./meanwhile.ts";
import type { Raising } from "./raising.ts";
import type { Workload } from "./workload.ts";

const LINK = 0o120000;
const TYPE = 0o170000;
const MOST_LINKS = 40;

/** Somebody at work in a workload's files. Repeatable `close`; until then one that does not run waits with everything else. */
interface Opened {
  readonly call: Call;
  /** Why it was broken off for somebody else's sake: aborted with a Failure. */
  readonly givenUp: AbortSignal;
  ask<T>(work: (files: FilesFacet) => Promise<T>): Promise<T>;
  close(): void;
}

export class WorkloadFiles {
  private readonly context: Context;
  private readonly raising: Raising;

  constructor(context: Context, raising: Raising) {
    this.context = context;
    this.raising = raising;
  }

  async stat(workload: Workload, asked: string, call: Call): Promise<FileStat> {
    const path = cleanInsidePath(asked);
    const opened = await this.open(workload, call);
    try {
      return await this.statIn(opened, path);
    } catch (thrown) {
      throw this.explain(workload, asked, opened, thrown);
    } finally {
      opened.close();
    }
  }

  /** The archive belongs to the caller: read to its end, `return`ed, or the call aborted. */
  async read(workload: Workload, asked: string, call: Call): Promise<FilesRead> {
    const path = cleanInsidePath(asked);
    const opened = await this.open(workload, call);
    const explain = (thrown: unknown) => this.explain(workload, asked, opened, thrown);
    let archive: AsyncIterable<Uint8Array> | undefined;
    try {
      const found = await opened.ask((files) => files.read(path, opened.call));
      archive = closing(found.archive, opened, explain);
      const stat = await this.withTarget(opened, path, found.stat);
      announceWorkload(this.context, workload, "files-read", { path });
      return { stat, archive };
    } catch (thrown) {
      opened.close();
      await archive?.[Symbol.asyncIterator]().return?.();
      throw explain(thrown);
    }
  }

  async write(
    workload: Workload,
    asked: string,
    given: { readonly archive: AsyncIterable<Uint8Array>; readonly options: WriteFilesOptions },
    call: Call,
  ): Promise<void> {
    const path = cleanInsidePath(asked);
    const opened = await this.open(workload, call);
    try {
      await opened.ask((files) => files.write(path, decompressed(given.archive), given.options, opened.call));
      announceWorkload(this.context, workload, "files-written", { path });
    } catch (thrown) {
      throw this.explain(workload, asked, opened, thrown);
    } finally {
      opened.close();
    }
  }

  private async open(workload: Workload, call: Call): Promise<Opened> {
    const abort = new AbortController();
    const signal = AbortSignal.any([call.signal, abort.signal]);
    workload.copies.add(abort);
    const over = Promise.withResolvers<void>();
    const close = () => {
      workload.copies.delete(abort);
      over.resolve();
    };
    signal.addEventListener("abort", close, { once: true });
    const asking = { close, call: { ...call, signal }, givenUp: abort.signal };
    try {
      if (workload.run === undefined) {
        const held = await this.raise(workload, asking.call, over.promise);
        if (held !== undefined) return { ...asking, ask: (work) => work(facetOf(held, workload)) };
      }
      checkState(workload);
      return { ...asking, ask: (work) => askRunning(this.context, workload, (sandbox) => work(facetOf(sandbox, workload))) };
    } catch (thrown) {
      close();
      throw abort.signal.aborted ? toFailure(abort.signal.reason) : thrown;
    }
  }

  /** Holds the workload's turn until `over`. Undefined where it runs by the time that its turn comes. */
  private raise(workload: Workload, call: Call, over: Promise<void>): Promise<Sandbox | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Sandbox | undefined>();
    const turn = workload.mutex.run(async () => {
      checkState(workload);
      if (workload.run !== undefined) return resolve(undefined);
      resolve(await this.hold(workload, call));
      await over;
      await this.raising.discard(workload).catch((thrown: unknown) => {
        this.context.log.error({ workload: workload.id, failure: toFailure(thrown).toJSON() }, "a workload that was held for its files could not be given up");
      });
    }, call.signal);
    turn.catch(reject);
    return promise;
  }

  /** Without its ports: another workload may have them by now, and nobody speaks to a program that does not run. */
  private async hold(workload: Workload, call: Call): Promise<Sandbox> {
    const held = await this.raising.take(workload, call.signal, { ports: [] });
    try {
      await facetOf(held, workload).stat("/", call);
      return held;
    } catch (thrown) {
      await this.raising.discard(workload);
      // A command that is not there: nothing stands of it, while files of images that have no program at all are wanted as well.
      if (toFailure(thrown).code !== "WRONG_STATE" || call.signal.aborted) throw thrown;
      return this.raising.take(workload, call.signal, { ports: [], withInit: true });
    }
  }

  private async statIn(opened: Opened, path: string): Promise<FileStat> {
    return this.withTarget(opened, path, await opened.ask((files) => files.stat(path, opened.call)));
  }

  /** A link's target as a path from the root with no link in it, as far as it exists: clients go on from there. */
  private async withTarget(opened: Opened, path: string, stat: FileStat): Promise<FileStat> {
    if ((stat.mode & TYPE) !== LINK) return stat;
    return { ...stat, linkTarget: await resolveInside((at) => opened.ask((files) => files.stat(at, opened.call)), path) };
  }

  private explain(workload: Workload, path: string, opened: Opened, thrown: unknown): Failure {
    const failure = toFailure(thrown);
    const { id, name } = workload.record;
    if (opened.givenUp.aborted) return toFailure(opened.givenUp.reason);
    if (failure.code !== "NOT_FOUND") return failure;
    return new Failure("NOT_FOUND", `Could not find the file ${path} in container ${name}`, {
      workload: id,
      remedy: "Look with `bulkhead exec`, or copy the directory above it.",
      cause: failure,
    });
  }
}

function facetOf({ files, exec, identity: { kind } }: Sandbox, { id }: Workload): FilesFacet {
  if (files !== undefined) return files;
  throw new Failure("UNSUPPORTED", `${kind} cannot copy files in or out of a workload`, {
    workload: id,
    boundary: kind,
    remedy: exec === undefined ? "Share the files in a volume." : "Use tar by exec, or share the files in a volume.",
  });
}

function checkState(workload: Workload): void {
  const { state, id } = workload.record;
  if (state === "removing" || state === "dead") throw removedUnderCopy(workload);
  if (state === "paused")
    throw new Failure("WRONG_STATE", `Container ${id} is paused, unpause the container before copying files`, { workload: id, remedy: "Resume it." });
}

/** For whoever copies files when their workload is removed. */
export function removedUnderCopy({ id }: Workload): Failure {
  return new Failure("WRONG_STATE", `container ${id} is marked for removal: its files cannot be copied`, { workload: id, remedy: "Create another." });
}

/** Where a path leads, part by part: what a link says is meant from where the link lies. */
async function resolveInside(stat: (path: string) => Promise<FileStat>, path: string): Promise<string> {
  const parts = path.split("/").reverse();
  let at = "/";
  for (let links = 0; parts.length > 0; ) {
    const part = parts.pop();
    if (part === undefined || part === "" || part === ".") continue;
    const next = join(at, part);
    const found = part === ".." ? undefined : await stat(next).catch(acceptMissing);
    if (found === undefined || (found.mode & TYPE) !== LINK) {
      at = part === ".." ? dirname(at) : next;
      continue;
    }
    if (++links > MOST_LINKS) throw new Failure("INVALID_SPEC", `too many links in ${quote(path)}`, { remedy: "Some of them lead to themselves." });
    if (found.linkTarget.startsWith("/")) at = "/";
    parts.push(...found.linkTarget.split("/").reverse());
  }
  return at;
}

function acceptMissing(thrown: unknown): undefined {
  if (toFailure(thrown).code !== "NOT_FOUND") throw thrown;
}

/** The same bytes; whoever stops reading, however, has closed what was opened for them. */
function closing(archive: AsyncIterable<Uint8Array>, opened: Opened, explain: (thrown: unknown) => Failure): AsyncIterable<Uint8Array> {
  const { signal } = opened.call;
  const open = (): AsyncIterator<Uint8Array> => {
    const source = archive[Symbol.asyncIterator]();
    return {
      next: async () => {
        const aborted = Promise.withResolvers<never>();
        const abort = () => aborted.reject(signal.reason);
        signal.addEventListener("abort", abort, { once: true });
        try {
          if (signal.aborted) abort();
          const step = await Promise.race([source.next(), aborted.promise]);
          if (step.done === true) opened.close();
          return step;
        } catch (thrown) {
          opened.close();
          throw explain(thrown);
        } finally {
          signal.removeEventListener("abort", abort);
        }
      },
      return: async () => {
        opened.close();
        await source.return?.();
        return { done: true, value: undefined };
      },
    };
  };
  return { [Symbol.asyncIterator]: open };
}
