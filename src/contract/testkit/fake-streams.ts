/** The fake's pipes: bounded both ways, so that a slow reader stops the writer as a real pipe does. */

import { Failure } from "../failure.ts";

export const SINK_LIMIT_BYTES = 1024 * 1024;
const INPUT_LIMIT_BYTES = 64 * 1024;

type Chunk = { readonly stream: "stdout" | "stderr"; readonly bytes: Uint8Array };

/** One reader's queue of output. */
export class FakeSink implements AsyncIterable<Chunk> {
  buffered = 0;
  private readonly queue: Chunk[] = [];
  private over = false;
  private wakeReader = () => {};
  private wakeWriter = () => {};

  push(chunk: Chunk): void {
    if (this.over) return;
    this.queue.push(chunk);
    this.buffered += chunk.bytes.length;
    this.wakeReader();
  }

  /** Resolves when the reader has taken enough, or has gone. */
  async room(): Promise<void> {
    while (this.buffered > SINK_LIMIT_BYTES && !this.over) {
      await new Promise<void>((resolve) => {
        this.wakeWriter = resolve;
      });
    }
  }

  finish(): void {
    this.over = true;
    this.wakeReader();
    this.wakeWriter();
  }

  drop(): void {
    this.queue.length = 0;
    this.buffered = 0;
    this.finish();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Chunk> {
    for (;;) {
      const chunk = this.queue.shift();
      if (chunk !== undefined) {
        this.buffered -= chunk.bytes.length;
        this.wakeWriter();
        yield chunk;
      } else if (this.over) return;
      else
        await new Promise<void>((resolve) => {
          this.wakeReader = resolve;
        });
    }
  }
}

/** Standard input of one process. */
export class FakeInput {
  private readonly queue: Uint8Array[] = [];
  private buffered = 0;
  private over = false;
  private waiting: (() => void)[] = [];

  async write(bytes: Uint8Array): Promise<void> {
    if (this.over) throw new Failure("WRONG_STATE", "standard input has ended");
    this.queue.push(bytes);
    this.buffered += bytes.length;
    this.wake();
    while (this.buffered > INPUT_LIMIT_BYTES && !this.over) await this.change();
  }

  end(): void {
    this.over = true;
    this.wake();
  }

  /** The next bytes, or undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const bytes = this.queue.shift();
      if (bytes !== undefined) {
        this.buffered -= bytes.length;
        this.wake();
        return bytes;
      }
      if (this.over) return undefined;
      await this.change();
    }
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }
}
