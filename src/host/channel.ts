/**
 * One connection of frames, from the asking side: requests with their answers, progress, events and streams.
 * It begins to connect at once; what is asked before it stands is sent when it does. It never reconnects.
 */

import { connect, type Socket } from "node:net";
import { Failure, toFailure } from "../contract/failure.ts";
import { FRAME_KIND, type FrameKind } from "../contract/frame.ts";
import { encodeFrame, encodeMessage, FrameDecoder, parseMessage } from "./frame-codec.ts";

export interface ChannelListener {
  /** A message without id. */
  event?(message: Record<string, unknown>): void;
  /** A frame of a stream. */
  stream?(kind: FrameKind, process: number, payload: Buffer): void;
  /** Once, after every open request was rejected. Undefined where the other end closed between frames. */
  closed?(cause: Failure | undefined): void;
}

interface OpenRequest {
  readonly verb: string;
  readonly settle: (ok: unknown) => void;
  readonly reject: (failure: Failure) => void;
  readonly progress: ((progress: Record<string, unknown>) => void) | undefined;
}

export class Channel {
  /** Name of the other end for error sentences: `the launcher`. */
  readonly #peer: string;
  readonly #path: string;
  readonly #socket: Socket;
  readonly #listener: ChannelListener;
  readonly #open = new Map<number, OpenRequest>();
  #lastId = 0;
  #connected = false;
  #idle = false;
  #closed = false;
  #cause: Failure | undefined;

  constructor(path: string, peer: string, listener: ChannelListener = {}) {
    this.#path = path;
    this.#peer = peer;
    this.#listener = listener;
    const decoder = new FrameDecoder((kind, process, payload) => this.#receive(kind, process, payload));
    // Half-open at the other side's end: this side is closed by us, so that a lost answer is never mistaken for a quiet one.
    this.#socket = connect({ path, allowHalfOpen: false });
    this.#socket.on("connect", () => {
      this.#connected = true;
    });
    this.#socket.on("data", (chunk: Buffer) => {
      try {
        decoder.push(chunk);
      } catch (thrown) {
        this.close(toFailure(thrown));
      }
    });
    this.#socket.on("error", (cause) => {
      this.#cause ??= this.#lost(cause);
    });
    this.#socket.on("close", () => {
      if (!decoder.empty) this.#cause ??= new Failure("CONNECTION_LOST", `The connection to ${peer} was cut in the middle of a message`);
      this.#finish();
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the other end ever took the connection: where not, nothing that was asked has been begun. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Resolves with the answer's `ok`, rejects with its failure, or CONNECTION_LOST when the other end went away first. */
  request(verb: string, fields: object, progress?: (progress: Record<string, unknown>) => void): Promise<unknown> {
    if (this.#closed) return Promise.reject(this.#cause ?? this.#lost());
    const id = ++this.#lastId;
    let message: Buffer;
    try {
      message = encodeMessage({ id, verb, ...fields });
    } catch (thrown) {
      return Promise.reject(toFailure(thrown));
    }
    return new Promise((settle, reject) => {
      if (this.#idle && this.#open.size === 0) this.#socket.ref();
      this.#open.set(id, { verb, settle, reject, progress });
      this.#socket.write(message);
    });
  }

  /** Sends stream bytes; false when the socket's buffer is full and `drained` should be awaited. */
  send(kind: FrameKind, process: number, payload: Uint8Array): boolean {
    return this.#closed ? true : this.#socket.write(encodeFrame(kind, process, payload));
  }

  /** Resolves when written bytes have left, or the connection is gone. */
  drained(): Promise<void> {
    if (this.#closed || !this.#socket.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.off("drain", done);
        this.#socket.off("close", done);
        resolve();
      };
      this.#socket.on("drain", done);
      this.#socket.on("close", done);
    });
  }

  /** Stops and goes on reading: the kernel's socket buffer is the flow control. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** From now on the connection keeps no process alive while nothing is asked on it. */
  unref(): void {
    this.#idle = true;
    if (this.#open.size === 0) this.#socket.unref();
  }

  close(cause?: Failure): void {
    this.#cause ??= cause;
    this.#socket.destroy();
    this.#finish();
  }

  #receive(kind: FrameKind, process: number, payload: Buffer): void {
    if (this.#closed) return;
    if (kind !== FRAME_KIND.message) {
      this.#listener.stream?.(kind, process, payload);
      return;
    }
    const message = parseMessage(payload);
    if (typeof message["id"] !== "number") {
      this.#listener.event?.(message);
      return;
    }
    const request = this.#open.get(message["id"]);
    if (request === undefined) throw new Failure("CORRUPT_DATA", `${this.#peer} answered a request that was never made`);
    if ("progress" in message) {
      request.progress?.(message["progress"] as Record<string, unknown>);
      return;
    }
    this.#open.delete(message["id"]);
    if (this.#idle && this.#open.size === 0) this.#socket.unref();
    if ("ok" in message) request.settle(message["ok"]);
    else request.reject(Failure.fromDocument(message["failure"]));
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    const open = [...this.#open.values()];
    this.#open.clear();
    for (const request of open) {
      request.reject(this.#cause ?? new Failure("CONNECTION_LOST", `${this.#peer} closed ${this.#path} before it answered ${request.verb}`));
    }
    this.#listener.closed?.(this.#cause);
  }

  #lost(cause?: Error & { code?: string }): Failure {
    const seen = cause === undefined ? "is closed" : `failed with ${cause.code ?? cause.message}`;
    return new Failure("CONNECTION_LOST", `The connection to ${this.#peer} on ${this.#path} ${seen}`, cause === undefined ? {} : { cause });
  }
}
