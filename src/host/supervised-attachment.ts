/** A process's stdio on a supervisor connection of its own. */

import { Failure } from "../contract/failure.ts";
import { FRAME_KIND, type FrameKind } from "../contract/frame.ts";
import type { AttachOptions, Attachment } from "../contract/process.ts";
import { Channel } from "./channel.ts";

/** Held here before the socket is left unread; the kernel's buffer and the supervisor's come on top. */
const HIGH_WATER_BYTES = 256 * 1024;
const INPUT_FRAME_BYTES = 64 * 1024;
const STDIN = Uint8Array.of(FRAME_KIND.stdin);

type Output = { readonly stream: "stdout" | "stderr"; readonly bytes: Uint8Array };
type Waiter = { resolve: (result: IteratorResult<Output>) => void; reject: (failure: Failure) => void };

export interface AttachmentOptions {
  readonly socket: string;
  readonly attach: AttachOptions;
  readonly signal: AbortSignal;
  /** Every event of the connection, before the attachment itself acts on it. */
  event(message: Record<string, unknown>): void;
  /** Whether a process is known to have ended: joining one that has brings its ends, and its exit is not told again. */
  hasExited(process: number): boolean;
  /** Resolves once it is known what became of the sandbox: undefined where it ended, a failure where only this connection was lost. */
  examine(cause: Failure | undefined): Promise<Failure | undefined>;
}

export class SupervisedAttachment implements Attachment {
  readonly output: AsyncIterable<Output>;
  readonly channel: Channel;
  readonly #options: AttachmentOptions;
  readonly #queue: Output[] = [];
  #queuedBytes = 0;
  #paused = false;
  #waiter: Waiter | undefined;
  #process: number | undefined;
  /** Exits told before it was known whose end matters: answer and exit may arrive in one chunk. */
  readonly #exitsSeen = new Set<unknown>();
  #endedStreams = 0;
  #done = false;
  #failure: Failure | undefined;
  #inputEnded = false;
  readonly #aborted = () => this.close();

  constructor(options: AttachmentOptions) {
    this.#options = options;
    this.output = { [Symbol.asyncIterator]: () => ({ next: () => this.#next(), return: () => this.#return() }) };
    this.channel = new Channel(options.socket, "the supervisor", {
      event: (message) => this.#event(message),
      stream: (kind, _process, payload) => this.#receive(kind, payload),
      closed: (cause) => void this.#lost(cause),
    });
    options.signal.addEventListener("abort", this.#aborted);
  }

  /** The process whose end is this attachment's end. */
  follow(process: number): void {
    this.#process = process;
    if (this.#exitsSeen.has(process)) this.#finish();
  }

  write(bytes: Uint8Array): Promise<void> {
    if (!this.#options.attach.stdin || this.#inputEnded) return Promise.reject(new Failure("WRONG_STATE", "This attachment's input is not open"));
    for (let at = 0; at < bytes.length; at += INPUT_FRAME_BYTES) {
      this.channel.send(FRAME_KIND.stdin, this.#process ?? 0, bytes.subarray(at, at + INPUT_FRAME_BYTES));
    }
    return this.channel.drained();
  }

  endInput(): Promise<void> {
    if (!this.#options.attach.stdin || this.#inputEnded) return Promise.resolve();
    this.#inputEnded = true;
    this.channel.send(FRAME_KIND.end, this.#process ?? 0, STDIN);
    return Promise.resolve();
  }

  close(): void {
    this.#finish();
    this.#queue.length = 0;
  }

  #event(message: Record<string, unknown>): void {
    this.#options.event(message);
    // `exited` follows the last byte of output; `ended` is the sandbox's last word.
    if (message["event"] === "ended") this.#finish();
    if (message["event"] !== "exited") return;
    if (this.#process === undefined) this.#exitsSeen.add(message["process"]);
    else if (message["process"] === this.#process) this.#finish();
  }

  #receive(kind: FrameKind, payload: Buffer): void {
    if (kind === FRAME_KIND.end && payload[0] !== FRAME_KIND.stdin) {
      this.#endedStreams++;
      if (this.#endedStreams === 2 && this.#process !== undefined && this.#options.hasExited(this.#process)) this.#finish();
      return;
    }
    const stream = kind === FRAME_KIND.stdout ? "stdout" : kind === FRAME_KIND.stderr ? "stderr" : undefined;
    if (stream === undefined || this.#done || payload.length === 0) return;
    const value: Output = { stream, bytes: payload };
    const waiter = this.#waiter;
    if (waiter !== undefined) {
      this.#waiter = undefined;
      waiter.resolve({ value, done: false });
      return;
    }
    this.#queue.push(value);
    this.#queuedBytes += payload.length;
    if (this.#queuedBytes > HIGH_WATER_BYTES && !this.#paused) {
      this.#paused = true;
      this.channel.pause();
    }
  }

  #next(): Promise<IteratorResult<Output>> {
    const value = this.#queue.shift();
    if (value !== undefined) {
      this.#queuedBytes -= value.bytes.length;
      if (this.#paused && this.#queuedBytes < HIGH_WATER_BYTES / 2) {
        this.#paused = false;
        this.channel.resume();
      }
      return Promise.resolve({ value, done: false });
    }
    if (this.#done) return this.#failure === undefined ? Promise.resolve({ value: undefined, done: true }) : Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  #return(): Promise<IteratorResult<Output>> {
    this.close();
    return Promise.resolve({ value: undefined, done: true });
  }

  async #lost(cause: Failure | undefined): Promise<void> {
    if (this.#done) return;
    const failure = await this.#options.examine(cause);
    this.#finish(failure);
  }

  #finish(failure?: Failure): void {
    if (this.#done) return;
    this.#done = true;
    this.#failure = failure;
    this.#options.signal.removeEventListener("abort", this.#aborted);
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (failure === undefined) waiter?.resolve({ value: undefined, done: true });
    else waiter?.reject(failure);
    this.channel.close();
  }
}
