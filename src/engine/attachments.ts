/**
 * Attachments to a workload that does not run yet. A client attaches, and then starts: its attachment waits here, is joined to
 * whatever main process is raised, and follows to the next when a launch ahead was given up. Nothing is missed,
 * because `start` lets go only after every join.
 */

import { Failure } from "../contract/failure.ts";
import { plainCall } from "../contract/call.ts";
import type { AttachOptions, Attachment } from "../contract/process.ts";
import type { Sandbox } from "../contract/sandbox.ts";

type Chunk = { readonly stream: "stdout" | "stderr"; readonly bytes: Uint8Array };

class EarlyAttachment implements Attachment {
  readonly options: AttachOptions;
  private joined: Attachment | undefined;
  private readonly started = Promise.withResolvers<Attachment | undefined>();
  private readonly forget: (attachment: EarlyAttachment) => void;
  private over = false;

  constructor(options: AttachOptions, forget: (attachment: EarlyAttachment) => void) {
    this.options = options;
    this.forget = forget;
  }

  readonly output: AsyncIterable<Chunk> = { [Symbol.asyncIterator]: () => this.chunks() };

  async join(sandbox: Sandbox): Promise<void> {
    if (this.over) return;
    const attachment = await sandbox.main.attach(this.options, plainCall());
    // A held process has written nothing: an earlier join that was given up held nothing to lose.
    this.joined?.close();
    if (this.over) attachment.close();
    else this.joined = attachment;
  }

  /** The main process it is joined to was let go. */
  confirm(): void {
    this.started.resolve(this.joined);
  }

  /** Nothing will ever run. */
  abandon(): void {
    this.over = true;
    this.joined?.close();
    this.started.resolve(undefined);
  }

  async write(bytes: Uint8Array): Promise<void> {
    const attachment = await this.started.promise;
    if (attachment === undefined) throw new Failure("WRONG_STATE", "the workload did not start, so there is nothing to write to");
    await attachment.write(bytes);
  }

  async endInput(): Promise<void> {
    await (await this.started.promise)?.endInput();
  }

  close(): void {
    this.over = true;
    this.forget(this);
    this.joined?.close();
    this.started.resolve(this.joined);
  }

  private async *chunks(): AsyncGenerator<Chunk> {
    const attachment = await this.started.promise;
    if (attachment !== undefined) yield* attachment.output;
  }
}

export class EarlyAttachments {
  private readonly waiting = new Set<EarlyAttachment>();

  /** `raised` is the held sandbox, where one stands already. */
  add(options: AttachOptions, raised: Sandbox | undefined): Attachment {
    const attachment = new EarlyAttachment(options, (closed) => this.waiting.delete(closed));
    this.waiting.add(attachment);
    if (raised !== undefined) void this.track(attachment, raised);
    return attachment;
  }

  /** Joins everyone who waits; resolves when all are joined. Joins that were made for this sandbox are not made again. */
  async join(sandbox: Sandbox): Promise<void> {
    await Promise.all([...this.waiting].map((attachment) => this.track(attachment, sandbox)));
  }

  /** The sandbox that they are joined to was let go: from now on they live and end with it. */
  confirm(sandbox: Sandbox): void {
    for (const attachment of this.waiting)
      this.track(attachment, sandbox).then(
        () => attachment.confirm(),
        () => attachment.abandon(),
      );
    this.waiting.clear();
  }

  abandon(): void {
    for (const attachment of this.waiting) attachment.abandon();
    this.waiting.clear();
  }

  private readonly joins = new WeakMap<EarlyAttachment, { readonly sandbox: Sandbox; readonly done: Promise<void> }>();

  private track(attachment: EarlyAttachment, sandbox: Sandbox): Promise<void> {
    const known = this.joins.get(attachment);
    if (known?.sandbox === sandbox) return known.done;
    const done = (known?.done.catch(() => {}) ?? Promise.resolve()).then(() => attachment.join(sandbox));
    done.catch(() => {});
    this.joins.set(attachment, { sandbox, done });
    return done;
  }
}
