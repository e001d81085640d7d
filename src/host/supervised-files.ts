/**
 * Files inside, by a process of ours that the supervisor starts there with an order in place of a command: `FilesOrder` of the contract says what
 * its streams carry. It lives as long as the call: whoever gives the call up, or stops reading, ends it.
 */

import { type Call, plainCall } from "../contract/call.ts";
import { FAILURE_CODES, Failure, type FailureCode, quote } from "../contract/failure.ts";
import type { FilesOrder, GuestProcess } from "../contract/launch-plan.ts";
import type { AttachOptions, Attachment, ExitStatus, Process } from "../contract/process.ts";
import type { FileStat, FilesFacet, WriteFilesOptions } from "../contract/sandbox.ts";

/** A name of 255 and a link's target of 4,096 bytes, each of them escaped, with room to spare. */
const LONGEST_LINE_BYTES = 64 * 1024;

export type BeginInside = (spec: GuestProcess, attach: AttachOptions, call: Call) => Promise<{ process: Process; attachment: Attachment }>;

interface Whose {
  readonly workload: string;
  readonly identity: { readonly kind: string };
}

export function composeFilesFacet(begin: BeginInside, whose: Whose): FilesFacet {
  const open = (order: FilesOrder, call: Call) => Errand.begin(begin, order, { whose, call });
  return {
    async stat(path, call) {
      const errand = await open({ verb: "stat", path }, call);
      try {
        const stat = toStat(await errand.answer());
        errand.leave();
        return stat;
      } catch (thrown) {
        errand.close();
        throw thrown;
      }
    },
    async read(path, call) {
      const errand = await open({ verb: "read", path }, call);
      try {
        const stat = toStat(await errand.answer());
        return { stat, archive: { [Symbol.asyncIterator]: () => errand.rest() } };
      } catch (thrown) {
        errand.close();
        throw thrown;
      }
    },
    async write(directory: string, archive: AsyncIterable<Uint8Array>, options: WriteFilesOptions, call: Call) {
      const errand = await open({ verb: "write", path: directory, ...options }, call);
      try {
        await errand.send(archive);
      } finally {
        errand.close();
      }
    },
  };
}

/** One such process and what it says. */
class Errand {
  readonly #process: Process;
  readonly #attachment: Attachment;
  readonly #whose: Whose;
  readonly #signal: AbortSignal;
  readonly #output: AsyncIterator<{ readonly stream: "stdout" | "stderr"; readonly bytes: Uint8Array }>;
  /** What of the output came with the first line, and is not it. */
  #early: Uint8Array | undefined;
  #complaint = "";
  #status: ExitStatus | undefined;
  #over = false;
  readonly #onAbort = () => this.close();

  private constructor(begun: { process: Process; attachment: Attachment }, whose: Whose, signal: AbortSignal) {
    this.#process = begun.process;
    this.#attachment = begun.attachment;
    this.#whose = whose;
    this.#signal = signal;
    this.#output = begun.attachment.output[Symbol.asyncIterator]();
    void begun.process.exited.then((status) => (this.#status = status));
    signal.addEventListener("abort", this.#onAbort, { once: true });
    if (signal.aborted) this.#onAbort();
  }

  static async begin(begin: BeginInside, order: FilesOrder, { whose, call }: { whose: Whose; call: Call }): Promise<Errand> {
    if (call.signal.aborted) throw new Failure("CANCELLED", "The request was given up before it was carried out", { workload: whose.workload });
    // A signal of its own: cut by the caller's while it begins, the connection would leave a process behind that nobody knows.
    const begun = await begin(specOf(order), { stdin: order.verb === "write", stdout: true, stderr: true }, plainCall());
    return new Errand(begun, whose, call.signal);
  }

  /** What the first line says. Rejects with the failure that it tells, or with what became of the process where there is none. */
  async answer(): Promise<unknown> {
    const pieces: Uint8Array[] = [];
    for (let length = 0; length <= LONGEST_LINE_BYTES; ) {
      const piece = await this.#next();
      if (piece === undefined) throw await this.#explain();
      const end = piece.indexOf(0x0a);
      pieces.push(end < 0 ? piece : piece.subarray(0, end));
      length += piece.length;
      if (end < 0) continue;
      this.#early = piece.subarray(end + 1);
      return this.#understand(Buffer.concat(pieces).toString());
    }
    throw this.#failure("INTERNAL", "The process inside says more than it was asked");
  }

  /** Everything after the first line, to the end of the process, whose failure is thrown. */
  rest(): AsyncIterator<Uint8Array> {
    const finish = () => {
      this.close();
      return { value: undefined, done: true } as const;
    };
    return {
      next: async () => {
        try {
          const piece = this.#early?.length ? this.#early : await this.#next();
          this.#early = undefined;
          if (piece !== undefined) return { value: piece, done: false };
          if ((await this.#process.exited).code !== 0) throw await this.#explain();
          return finish();
        } catch (thrown) {
          this.close();
          throw thrown;
        }
      },
      return: async () => finish(),
    };
  }

  /** Sends all of it, but no more once the process has answered: that it failed, half-way. */
  async send(archive: AsyncIterable<Uint8Array>): Promise<void> {
    const pieces = archive[Symbol.asyncIterator]();
    const answered = this.answer();
    const sent = this.#pump(pieces).then(() => answered);
    try {
      await Promise.race([answered, sent]);
      await this.#process.exited;
    } finally {
      this.#over = true;
      // Not awaited: a source that waits for its own next piece would hold this up.
      void Promise.resolve(pieces.return?.()).catch(() => {});
    }
  }

  async #pump(pieces: AsyncIterator<Uint8Array>): Promise<void> {
    while (!this.#over) {
      const piece = await pieces.next();
      if (this.#over) return;
      if (piece.done === true) return this.#attachment.endInput();
      await this.#attachment.write(piece.value);
    }
  }

  /** Ends what still runs inside. Repeatable. */
  close(): void {
    // A boundary that has gone meanwhile has taken the process with it.
    if (this.#status === undefined) void this.#process.signal("SIGKILL", plainCall()).catch(() => {});
    this.leave();
  }

  /** It has said everything, and ends by itself. */
  leave(): void {
    this.#over = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#attachment.close();
  }

  /** The next piece of stdout; undefined at its end. */
  async #next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const { value, done } = await this.#output.next();
      if (done === true) return undefined;
      if (value.stream === "stdout") return value.bytes;
      if (this.#complaint.length < LONGEST_LINE_BYTES) this.#complaint += Buffer.from(value.bytes).toString();
    }
  }

  /** Why there is no more to hear. */
  async #explain(): Promise<Failure> {
    if (this.#signal.aborted) return this.#failure("CANCELLED", "The request was given up before its files were through");
    const line = this.#complaint.split("\n", 1)[0] ?? "";
    const told = line === "" ? undefined : parse(line);
    if (told?.["failure"] !== undefined) return this.#toldFailure(told["failure"]);
    const { code, outOfMemory } = await this.#process.exited;
    if (outOfMemory) return this.#failure("EXHAUSTED", "The kernel ended the process that handles files, for memory: the workload is at its limit");
    if (code === 137) return this.#failure("WRONG_STATE", "The workload ended before its files were through");
    return this.#failure("INTERNAL", `The process that handles files inside ended with code ${code}${line === "" ? "" : `: ${quote(line)}`}`);
  }

  #understand(line: string): unknown {
    const told = parse(line);
    if (told !== undefined && "ok" in told) return told["ok"];
    throw this.#toldFailure(told?.["failure"]);
  }

  #toldFailure(told: unknown): Failure {
    const { code, message } = (typeof told === "object" && told !== null ? told : {}) as { code?: unknown; message?: unknown };
    const known = FAILURE_CODES.find((candidate) => candidate === code);
    if (known === undefined || typeof message !== "string") return this.#failure("INTERNAL", "The process inside says nothing that can be understood");
    return this.#failure(known, message);
  }

  #failure(code: FailureCode, what: string): Failure {
    return new Failure(code, what, { workload: this.#whose.workload, boundary: this.#whose.identity.kind });
  }
}

function specOf(files: FilesOrder): GuestProcess {
  return {
    command: [],
    environment: [],
    workingDirectory: "/",
    user: "",
    additionalGroups: [],
    terminal: false,
    stdin: files.verb === "write",
    capabilities: [],
    noNewPrivileges: true,
    rlimits: [],
    init: false,
    files,
  };
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Its numbers and texts are a stranger's: behind a machine's wall the guest's own. */
function toStat(told: unknown): FileStat {
  const { name, sizeBytes, mode, modifiedAt, linkTarget } = (told ?? {}) as Record<string, unknown>;
  const isCount = (value: unknown): value is number => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
  if (typeof name !== "string" || typeof linkTarget !== "string" || typeof modifiedAt !== "string" || !isCount(sizeBytes) || !isCount(mode))
    throw new Failure("INTERNAL", "The process inside describes a file in a way that cannot be understood");
  return { name, sizeBytes, mode, modifiedAt, linkTarget };
}
