/** Connections of the server: who is at the other end, asked once each, and the way to end them all. */

import type { Socket } from "node:net";
import type { Identity } from "./access.ts";

export type Identify = (socket: Socket) => Promise<Identity>;

export class Connections {
  readonly #identify: Identify;
  readonly #open = new Map<Socket, Promise<Identity>>();

  constructor(identify: Identify) {
    this.#identify = identify;
  }

  /** The question is asked at once, so that its answer is there when the request has been read. */
  opened(socket: Socket): void {
    const identity = this.#identify(socket);
    // Whoever asks for it gets the failure; a connection that never asks must not end the daemon.
    identity.catch(() => undefined);
    this.#open.set(socket, identity);
    socket.once("close", () => this.#open.delete(socket));
  }

  async identityOf(socket: Socket): Promise<Identity> {
    const known = this.#open.get(socket);
    return known ?? this.#identify(socket);
  }

  get count(): number {
    return this.#open.size;
  }

  destroyAll(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }
}
