/** A supervisor that runs nothing: it speaks the protocol of contract/supervisor-protocol.ts and does what the test tells it. */

import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import type { FailureDocument } from "../../contract/failure.ts";
import { FRAME_KIND, type FrameKind } from "../../contract/frame.ts";
import type { ExitRecord } from "../../contract/launch-plan.ts";
import type { ExitStatus } from "../../contract/process.ts";
import { encodeFrame, encodeMessage, FrameDecoder, parseMessage } from "../frame-codec.ts";

export type Asked = { readonly verb: string; readonly id: number } & Record<string, unknown>;
/** An answer, or nothing to stay silent. */
export type Reply = { readonly ok: object } | { readonly failure: FailureDocument } | undefined;

export const EXIT_AT = "2026-01-02T03:04:05.000000006Z";

interface Connection {
  readonly socket: Socket;
  greeted: boolean;
  joined: number | undefined;
}

export class FakeSupervisor {
  readonly path: string;
  readonly asked: Asked[] = [];
  readonly input: { kind: FrameKind; process: number; text: string }[] = [];
  readonly connections = new Set<Connection>();
  /** Answers of the test's own; undefined from here falls through to the defaults. */
  answer: (ask: Asked) => Reply | "default" = () => "default";
  /** What hello says. */
  hello: Record<string, unknown> = { version: 1, workload: "w", state: "held", mainPid: 4711, terminal: false, processes: [] };
  #server: Server | undefined;
  #lastProcess = 0;

  constructor(path: string) {
    this.path = path;
  }

  listen(): Promise<void> {
    rmSync(this.path, { force: true });
    const server = createServer((socket) => this.#serve(socket));
    this.#server = server;
    return new Promise((resolve) => server.listen(this.path, resolve));
  }

  /** Bytes of a process's stream to every connection that joined it. False where one is full. */
  output(process: number, kind: FrameKind, text: string | Buffer): boolean {
    let room = true;
    for (const connection of this.connections) {
      if (connection.joined === process) room = connection.socket.write(encodeFrame(kind, process, Buffer.from(text))) && room;
    }
    return room;
  }

  endStreams(process: number): void {
    for (const connection of this.connections) {
      if (connection.joined !== process) continue;
      for (const stream of [FRAME_KIND.stdout, FRAME_KIND.stderr]) connection.socket.write(encodeFrame(FRAME_KIND.end, process, Buffer.from([stream])));
    }
  }

  exit(process: number, code: number): void {
    this.endStreams(process);
    this.tell({ event: "exited", process, status: exitStatus(code) });
  }

  end(record: ExitRecord): void {
    this.tell({ event: "ended", reason: record });
    for (const connection of this.connections) connection.socket.end();
    this.#server?.close();
  }

  /** A late answer, on whichever connection it was asked. */
  reply(id: number, reply: NonNullable<Reply>): void {
    for (const connection of this.connections) connection.socket.write(encodeMessage({ id, ...reply }));
  }

  tell(event: object): void {
    for (const connection of this.connections) if (connection.greeted) connection.socket.write(encodeMessage(event));
  }

  /** Drops every connection and goes on listening. */
  drop(): void {
    for (const connection of this.connections) connection.socket.destroy();
  }

  /** As SIGKILL would: connections cut, nobody listens, no word said. */
  async die(): Promise<void> {
    this.drop();
    await new Promise<void>((resolve) => (this.#server === undefined ? resolve() : this.#server.close(() => resolve())));
  }

  #serve(socket: Socket): void {
    const connection: Connection = { socket, greeted: false, joined: undefined };
    this.connections.add(connection);
    const decoder = new FrameDecoder((kind, process, payload) => {
      if (kind === FRAME_KIND.message) this.#take(connection, parseMessage(payload) as Asked);
      else this.input.push({ kind, process, text: kind === FRAME_KIND.end ? "" : payload.toString() });
    });
    socket.on("data", (chunk: Buffer) => decoder.push(chunk));
    socket.on("error", () => {});
    socket.on("close", () => this.connections.delete(connection));
  }

  #take(connection: Connection, ask: Asked): void {
    this.asked.push(ask);
    if (ask.verb === "hello") connection.greeted = true;
    const own = this.answer(ask);
    const reply = own === "default" ? this.#default(connection, ask) : own;
    if (reply !== undefined) connection.socket.write(encodeMessage({ id: ask.id, ...reply }));
  }

  #default(connection: Connection, ask: Asked): Reply {
    if (ask.verb === "hello") return { ok: this.hello };
    if (ask.verb === "attach") {
      connection.joined = ask["process"] as number;
      return { ok: {} };
    }
    if (ask.verb === "exec") {
      connection.joined = ++this.#lastProcess;
      return { ok: { process: connection.joined, hostPid: 5000 + connection.joined } };
    }
    if (ask.verb === "signal") return { ok: { delivered: true } };
    return { ok: {} };
  }
}

export function exitStatus(code: number): ExitStatus {
  return { code, outOfMemory: false, at: EXIT_AT };
}

export function exitRecord(code: number, kind: ExitRecord["kind"] = "exited"): ExitRecord {
  return { version: 1, workload: "w", kind, ...exitStatus(code), started: true };
}
