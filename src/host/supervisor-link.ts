/**
 * The control connection to one supervisor, and the judgement of what became of it when it is lost. Settles the
 * sandbox's end exactly once: by the supervisor's last word, by its exit record, or by its absence.
 */

import type { Log } from "../contract/call.ts";
import { Failure, toFailure } from "../contract/failure.ts";
import type { EndReason } from "../contract/sandbox.ts";
import type { SupervisorAsk, SupervisorOk, SupervisorVerb } from "../contract/supervisor-protocol.ts";
import { Channel } from "./channel.ts";
import { findExitRecord, lostReason, parseExitRecord, toEndReason } from "./exit-record.ts";
import { checkVersion, greeting } from "./greeting.ts";

const HEARTBEAT_MS = 10_000;
const MISSED_BEATS = 3;

export interface LinkOptions {
  readonly workload: string;
  readonly socket: string;
  readonly exitRecord: string;
  readonly log: Log;
  clear(): Promise<void>;
}

export interface LinkListener {
  /** What the supervisor says of itself at each connection: exits that were missed are in it. */
  greeted(hello: SupervisorOk<"hello">): void;
  event(message: Record<string, unknown>): void;
  ended(reason: EndReason): void;
}

export class SupervisorLink {
  readonly #options: LinkOptions;
  readonly #listener: LinkListener;
  #channel: Channel | undefined;
  #examination: Promise<string> | undefined;
  #over: string | undefined;
  #beat: NodeJS.Timeout | undefined;
  #missed = 0;

  constructor(options: LinkOptions, listener: LinkListener) {
    this.#options = options;
    this.#listener = listener;
  }

  /** Connects without waiting: what is asked meanwhile is sent behind the greeting. */
  connect(): void {
    const channel = this.#open();
    this.hello(channel).then(
      (hello) => this.#listener.greeted(hello),
      (thrown: unknown) => channel.close(toFailure(thrown)),
    );
  }

  /** Connects to a supervisor that may not be there; undefined where nobody listens. */
  async greet(): Promise<SupervisorOk<"hello"> | undefined> {
    const channel = this.#open(false);
    try {
      const hello = await this.hello(channel);
      if (channel.closed) return undefined;
      this.#channel = channel;
      this.#startHeartbeat();
      this.#listener.greeted(hello);
      return hello;
    } catch (thrown) {
      channel.close();
      if (toFailure(thrown).code === "CONNECTION_LOST") return undefined;
      throw thrown;
    }
  }

  async hello(channel: Channel): Promise<SupervisorOk<"hello">> {
    const hello = (await channel.request("hello", greeting())) as SupervisorOk<"hello">;
    checkVersion(hello, "The supervisor", "Go back to the release that started the workload, or end it and start it again");
    return hello;
  }

  request<V extends SupervisorVerb>(verb: V, ask: SupervisorAsk<V>): Promise<unknown> {
    if (this.#channel === undefined) return Promise.reject(new Failure("CONNECTION_LOST", "The supervisor is not connected"));
    return this.#channel.request(verb, ask);
  }

  /** What is known, as half a sentence, once the doubt is settled: a lost connection is looked into first. */
  async examine(): Promise<string> {
    if (this.#over !== undefined) return this.#over;
    if (this.#channel !== undefined && !this.#channel.closed) {
      // Another connection was cut: whether the supervisor went too is known only by asking.
      const alive = await this.#channel.request("ping", {}).catch(() => undefined);
      if (alive !== undefined) return "the supervisor still answers and the workload goes on";
    }
    this.#examination ??= this.#look().finally(() => {
      this.#examination = undefined;
    });
    return this.#examination;
  }

  #open(watch = true): Channel {
    const channel: Channel = new Channel(this.#options.socket, "the supervisor", {
      event: (message) => this.#event(message),
      closed: () => {
        if (this.#channel === channel) void this.examine();
      },
    });
    if (watch) {
      this.#channel = channel;
      this.#startHeartbeat();
    }
    return channel;
  }

  #event(message: Record<string, unknown>): void {
    if (message["event"] !== "ended") {
      this.#listener.event(message);
      return;
    }
    this.#finish(toEndReason(parseExitRecord(message["reason"])));
  }

  async #look(): Promise<string> {
    const record = await findExitRecord(this.#options.exitRecord).catch((thrown: unknown) => {
      this.#options.log.warn({ workload: this.#options.workload, error: toFailure(thrown).message }, "an exit record cannot be read");
      return undefined;
    });
    if (this.#over !== undefined) return this.#over;
    if (record !== undefined) return this.#finish(toEndReason(record));
    // No deadline: one that is stopped or starved still owns its workload and answers when it can; a dead one refuses.
    const hello = await this.greet().catch((thrown: unknown) => toFailure(thrown));
    if (hello instanceof Failure) {
      // One of another release, for instance. It still owns its workload, which goes on without us.
      this.#options.log.error({ workload: this.#options.workload, error: hello.message }, "a supervisor cannot be spoken to");
      return `the supervisor cannot be spoken to: ${hello.message}`;
    }
    if (hello !== undefined) return "the supervisor answers again and the workload goes on";
    const late = await findExitRecord(this.#options.exitRecord).catch(() => undefined);
    if (late !== undefined) return this.#finish(toEndReason(late));
    this.#options.log.error({ workload: this.#options.workload }, "a supervisor is gone without a word; ending what it held");
    await this.#options.clear().catch((thrown: unknown) => {
      this.#options.log.error({ workload: this.#options.workload, error: toFailure(thrown).message }, "what a lost supervisor held could not be cleared");
    });
    return this.#finish(lostReason(`its supervisor was killed: nobody answers on ${this.#options.socket} and there is no exit record`));
  }

  #finish(reason: EndReason): string {
    if (this.#over !== undefined) return this.#over;
    const how = reason.status.outOfMemory ? " (out of memory)" : "";
    this.#over = reason.kind === "boundary-lost" ? reason.what : `the workload has ended with exit code ${reason.status.code}${how}`;
    clearInterval(this.#beat);
    this.#listener.ended(reason);
    this.#channel?.close();
    return this.#over;
  }

  #startHeartbeat(): void {
    this.#missed = 0;
    if (this.#beat !== undefined) return;
    this.#beat = setInterval(() => this.#ping(), HEARTBEAT_MS);
    this.#beat.unref();
  }

  #ping(): void {
    const channel = this.#channel;
    if (channel === undefined || channel.closed) return;
    if (this.#missed >= MISSED_BEATS) {
      channel.close(new Failure("CONNECTION_LOST", `The supervisor missed ${MISSED_BEATS} heartbeats in ${(MISSED_BEATS * HEARTBEAT_MS) / 1000} s`));
      return;
    }
    this.#missed++;
    channel.request("ping", {}).then(
      () => {
        this.#missed = 0;
      },
      () => {},
    );
  }
}
