/**
 * The daemon's end of the launcher's socket (contract/launcher-protocol.ts).
 *
 * One connection for everything, opened at the first request and again after the launcher died; a launcher that does not
 * answer is started by the `start` handed in. A request that was on its way when the launcher died is never repeated
 * by itself: it rejects CONNECTION_LOST, because only the caller knows whether asking twice is harmless.
 */

import type { Log } from "../contract/call.ts";
import { Failure, toFailure } from "../contract/failure.ts";
import type { LauncherAsk, LauncherHello, LauncherOk, LauncherVerb } from "../contract/launcher-protocol.ts";
import { Channel } from "./channel.ts";
import { checkVersion, greeting } from "./greeting.ts";

/** What images, networks, volumes and drivers see of the launcher. */
export interface Launcher {
  /** Carries out one verb. Failures are the launcher's own, or CONNECTION_LOST where it went away before it answered. */
  request<V extends LauncherVerb>(verb: V, ask: LauncherAsk<V>, progress?: (progress: Record<string, unknown>) => void): Promise<LauncherOk<V>>;
  /** What it said of itself when it was last connected. */
  hello(): Promise<LauncherHello>;
}

export interface LauncherClientOptions {
  readonly socket: string;
  readonly log: Log;
  /** Starts a launcher on `socket` and resolves when it may be asked again; absent: none is started. */
  readonly start?: () => Promise<void>;
}

interface Connection {
  readonly channel: Channel;
  readonly hello: LauncherHello;
}

export class LauncherClient implements Launcher {
  readonly #options: LauncherClientOptions;
  #current: Connection | undefined;
  #opening: Promise<Connection> | undefined;
  #closed = false;

  constructor(options: LauncherClientOptions) {
    this.#options = options;
  }

  request<V extends LauncherVerb>(verb: V, ask: LauncherAsk<V>, progress?: (progress: Record<string, unknown>) => void): Promise<LauncherOk<V>> {
    const current = this.#current;
    if (current !== undefined && !current.channel.closed) return current.channel.request(verb, ask, progress) as Promise<LauncherOk<V>>;
    return this.#connection().then(({ channel }) => channel.request(verb, ask, progress) as Promise<LauncherOk<V>>);
  }

  async hello(): Promise<LauncherHello> {
    return (await this.#connection()).hello;
  }

  /** Lets the connection go. The launcher and all it raised go on. */
  close(): void {
    this.#closed = true;
    this.#current?.channel.close();
  }

  #connection(): Promise<Connection> {
    if (this.#current !== undefined && !this.#current.channel.closed) return Promise.resolve(this.#current);
    if (this.#closed) return Promise.reject(new Failure("CANCELLED", "The daemon is stopping and has let the launcher go"));
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(): Promise<Connection> {
    try {
      return await this.#greet();
    } catch (thrown) {
      const failure = toFailure(thrown);
      if (failure.code !== "CONNECTION_LOST" || this.#options.start === undefined) throw this.#explain(failure);
    }
    this.#options.log.info({ socket: this.#options.socket }, "no launcher answers; starting one");
    await this.#options.start();
    try {
      return await this.#greet();
    } catch (thrown) {
      throw this.#explain(toFailure(thrown));
    }
  }

  async #greet(): Promise<Connection> {
    const channel: Channel = new Channel(this.#options.socket, "the launcher", {
      closed: () => {
        if (!this.#closed && channel.connected) this.#options.log.warn({ socket: this.#options.socket }, "the connection to the launcher is gone");
      },
    });
    const hello = (await channel.request("hello", greeting())) as LauncherHello;
    try {
      checkVersion(hello, "The launcher", "Stop the launcher (workloads go on) and start the daemon again, so that both come from one build");
    } catch (thrown) {
      channel.close();
      throw thrown;
    }
    channel.unref();
    this.#current = { channel, hello };
    return this.#current;
  }

  #explain(failure: Failure): Failure {
    if (failure.code !== "CONNECTION_LOST") return failure;
    return new Failure("CONNECTION_LOST", `The launcher does not answer on ${this.#options.socket}: ${failure.message}`, {
      remedy: "Start bulkhead-launcher (systemctl start bulkhead-launcher) and read its log; workloads that run go on meanwhile",
      cause: failure,
    });
  }
}
