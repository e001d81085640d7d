/** Seeing that a client has gone, where all that the kernel tells a reader is that nothing more comes. */

import type { Socket } from "node:net";

const LOOK_EVERY_MS = 5_000;

/**
 * Docker's clients close their half at once and read on for as long as the workload lives, so the end of input says nothing.
 * A write of no bytes does: it fails with EPIPE where the other end is closed altogether, and sends nothing where it is not.
 * Without it, each client that leaves a quiet workload costs two descriptors here until that workload speaks.
 */
export function closeWhenGone(socket: Socket, everyMs = LOOK_EVERY_MS): void {
  const look = setInterval(() => {
    if (socket.writableLength === 0 && socket.writable) socket.write("");
  }, everyMs);
  look.unref();
  socket.once("close", () => clearInterval(look));
}
