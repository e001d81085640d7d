/** Connections of the server: who is at the other end, asked once each, and the way to end them all. */

import type { Socket } from "node:net";
import { Failure } from "../contract/failure.ts";
import type { Identity } from "./access.ts";

/** `door` is the path of the socket that the connection came by. */
export type Identify = (socket: Socket, door: string) => Promise<Identity>;

export class Connections {
  readonly #identify: Identify;
  readonly #open = new Map<Socket, Promise<Identity>>();

  constructor(identify: Identify) {
    this.#identify = identify;
  }

  /** The question is asked at once, so that its answer is there when the request has been read. */
  opened(socket: Socket, door: string): void {
    const identity = this.#identify(socket, door);
    // Whoever asks for it gets the failure; a connection that never asks must not end the daemon.
    identity.catch(() => undefined);
    this.#open.set(socket, identity);
    socket.once("close", () => this.#open.delete(socket));
  }

  /** Rejects CANCELLED where it has closed: nobody is there to be admitted. */
  async identityOf(socket: Socket): Promise<Identity> {
    const known = this.#open.get(socket);
    if (known === undefined) throw new Failure("CANCELLED", "the connection closed before it was known who made it");
    return known;
  }

  get count(): number {
    return this.#open.size;
  }

  destroyAll(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }
}
