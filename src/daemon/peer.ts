/** Who is at the other end of a connection. Node cannot ask the kernel; the launcher can, by the descriptor's number. */

import type { Socket } from "node:net";
import { Failure } from "../contract/failure.ts";
import type { Launcher } from "../host/launcher-client.ts";
import type { Identity } from "../policy/index.ts";

/** Node keeps the descriptor on the handle, undocumented and unchanged for ten years. */
interface SocketWithHandle {
  readonly _handle?: { readonly fd?: number } | null;
}

export function createIdentify(launcher: Launcher): (socket: Socket, door: string) => Promise<Identity> {
  return async (socket, door) => {
    const fd = (socket as unknown as SocketWithHandle)._handle?.fd;
    if (fd === undefined || fd < 0) throw new Failure("CANCELLED", "The connection was closed before it was known who made it");
    const peer = await launcher.request("peer", { fd });
    // The number may have gone to another connection meanwhile: its owner must not lend a closed one its name.
    if (socket.destroyed || (socket as unknown as SocketWithHandle)._handle?.fd !== fd) {
      throw new Failure("CANCELLED", "The connection was closed before it was known who made it");
    }
    return { ...peer, socket: door };
  };
}
