/** A live connection to a process's stdio. */

import type { Socket } from "node:net";
import { Failure } from "./failure.ts";
import { demultiplex, plainOutput, type OutputChunk } from "./multiplex.ts";
import type { Hijacked } from "./transport.ts";

export interface Attached {
  /** In order of arrival; ends after the process's last byte. Reading slowly slows the process. */
  readonly output: AsyncIterable<OutputChunk>;
  /** Resolves when there is room for more. Rejects CONNECTION_LOST where nobody reads any longer. */
  write(bytes: Uint8Array): Promise<void>;
  /** Half-close: the process reads end-of-file; its output goes on. */
  endInput(): void;
  /** Lets go of the process without ending it. */
  close(): void;
}

/** Docker's hijacked connection; `terminal` says that outputs are not joined by headers. */
export function attachedOf(hijacked: Hijacked, terminal: boolean): Attached {
  const { socket } = hijacked;
  const bytes = readSocket(socket);
  return {
    output: terminal ? plainOutput(bytes) : demultiplex(bytes),
    write: (input) => writeSocket(socket, input),
    endInput: () => void socket.end(),
    close: () => void socket.destroy(),
  };
}

/** Chunks until the other end is done. A reset is an end within the stream: CONNECTION_LOST. */
export async function* readSocket(socket: Socket): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of socket.iterator({ destroyOnReturn: true })) yield chunk as Uint8Array;
  } catch (thrown) {
    if (thrown instanceof Failure) throw thrown;
    if ((thrown as NodeJS.ErrnoException).code === "ERR_STREAM_PREMATURE_CLOSE") return;
    throw new Failure("CONNECTION_LOST", "the daemon closed the connection to the process's output", { cause: thrown });
  }
}

export async function writeSocket(socket: Socket, bytes: Uint8Array): Promise<void> {
  if (socket.destroyed || socket.writableEnded) throw new Failure("CONNECTION_LOST", "nobody reads the process's input any longer");
  if (socket.write(bytes)) return;
  await new Promise<void>((resolve, reject) => {
    const settle = (act: () => void) => (): void => {
      socket.off("drain", drained);
      socket.off("close", closed);
      act();
    };
    const drained = settle(resolve);
    const closed = settle(() => reject(new Failure("CONNECTION_LOST", "nobody reads the process's input any longer")));
    socket.on("drain", drained);
    socket.on("close", closed);
  });
}
