/**
 * Taking a connection over from HTTP: what `attach`, `exec start` and the native run need. With `Upgrade` the answer is 101,
 * without it a bare 200 with neither length nor chunks, which ends when the connection closes. Afterwards both ends speak
 * raw bytes, and each may close its half first.
 */

import type { Socket } from "node:net";
import { drained, type Exchange } from "./exchange.ts";
import { readBody } from "./body.ts";
import { closeWhenGone } from "./gone.ts";

/** A raw connection. Input that came early is not lost; it waits until `receive` is called. */
export interface RawConnection {
  /** Calls `bytes` in order, one at a time: the next chunk is read when its promise has settled. `end` once, when the client has closed its half. */
  receive(bytes: (chunk: Buffer) => Promise<void>, end: () => void): void;
  /** Rejects CANCELLED when the client has gone. */
  send(bytes: Uint8Array): Promise<void>;
  /** Several pieces as one write: a header and its payload leave in one packet. */
  sendPieces(pieces: readonly Uint8Array[]): Promise<void>;
  /** Aborted when the client has gone or the server closes. */
  readonly signal: AbortSignal;
  /** Says that nothing more comes, and closes. */
  finish(): void;
}

export interface HijackOptions {
  readonly contentType: string;
  /** Token of the protocol in the answer to an upgrade: `tcp` in Docker's API. */
  readonly protocol: string;
}

/** How long a client may keep its half open after the conversation has ended. */
const FINISH_PATIENCE_MS = 5_000;

export async function hijack(exchange: Exchange, options: HijackOptions): Promise<RawConnection> {
  // Some clients send their options as a body that nobody needs: it must not be taken for the workload's input.
  if (!exchange.bodyTaken && exchange.request.headers["content-length"] !== undefined) await readBody(exchange);
  const upgraded = exchange.upgradeHead !== undefined;
  const socket = exchange.socket;
  const early = exchange.upgradeHead ?? Buffer.alloc(0);
  exchange.hijacked = true;
  if (exchange.response.socket !== null) exchange.response.detachSocket(socket);
  if (!upgraded) releaseFromParser(socket);
  socket.pause();
  socket.setTimeout(0);
  const gone = () => exchange.abort();
  socket.on("close", gone);
  socket.on("error", gone);
  const status = upgraded ? "101 UPGRADED" : "200 OK";
  const more = upgraded ? `Connection: Upgrade\r\nUpgrade: ${options.protocol}\r\n` : "";
  socket.write(`HTTP/1.1 ${status}\r\nContent-Type: ${options.contentType}\r\n${more}\r\n`);
  return rawConnection(exchange, withoutFinalChunk(exchange, early));
}

/** A client that announced a chunked body for its upgrade and sent none still says that it has ended. */
function withoutFinalChunk(exchange: Exchange, early: Buffer): Buffer {
  if (exchange.request.headers["transfer-encoding"] === undefined) return early;
  return early.subarray(0, 5).toString("latin1") === "0\r\n\r\n" ? early.subarray(5) : early;
}

/** The HTTP parser owns the socket's reading side until a listener for data is added; then its own listeners can go. */
function releaseFromParser(socket: Socket): void {
  socket.on("data", () => undefined);
  socket.removeAllListeners("data");
  // Node would answer a half-close by closing the whole connection, and the output with it.
  socket.removeAllListeners("end");
}

function rawConnection(exchange: Exchange, early: Buffer): RawConnection {
  const { socket } = exchange;
  const { signal } = exchange.call;
  const send = async (write: () => boolean): Promise<void> => {
    signal.throwIfAborted();
    if (!write()) await drained(socket, signal);
  };
  return {
    signal,
    receive(bytes, end) {
      const take = (chunk: Buffer) => {
        socket.pause();
        bytes(chunk).then(
          () => socket.resume(),
          // A process that takes no more input: what is left is read and dropped, so that the end is still seen.
          () => socket.resume(),
        );
      };
      socket.on("data", take);
      socket.once("end", () => {
        closeWhenGone(socket);
        end();
      });
      if (early.length > 0) take(early);
      else socket.resume();
    },
    send: (bytes) => send(() => socket.write(bytes)),
    sendPieces: (pieces) =>
      send(() => {
        socket.cork();
        let room = true;
        for (const piece of pieces) room = socket.write(piece);
        socket.uncork();
        return room;
      }),
    finish() {
      socket.end();
      // What the client still sends is read and dropped: closing a unix socket with unread bytes would reset the client's end.
      socket.removeAllListeners("data");
      socket.resume();
      const patience = setTimeout(() => socket.destroy(), FINISH_PATIENCE_MS);
      patience.unref();
      socket.once("close", () => clearTimeout(patience));
    },
  };
}
