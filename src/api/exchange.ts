/** One request and its answer, as handlers see them. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Call, Log } from "../contract/call.ts";
import { Failure } from "../contract/failure.ts";
import type { Authorize, Identity, Intent } from "./access.ts";
import type { Query } from "./query.ts";

export interface ExchangeParts {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Socket;
  /** Bytes that came after the headers of an upgrade request; undefined for any other request. Shrinks as it is read. */
  upgradeHead: Buffer | undefined;
  readonly action: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: Query;
  /** 1.48 is 148. */
  readonly apiVersion: number;
  readonly log: Log;
}

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Socket;
  upgradeHead: Buffer | undefined;
  readonly action: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly apiVersion: number;
  readonly call: Call;
  /** Set once somebody reads the body: it is there once only. */
  bodyTaken = false;
  /** Set once the connection is no longer HTTP. */
  hijacked = false;
  #identity: Identity | undefined;
  #authorize: Authorize | undefined;
  readonly #abort = new AbortController();

  constructor(parts: ExchangeParts) {
    this.request = parts.request;
    this.response = parts.response;
    this.socket = parts.socket;
    this.upgradeHead = parts.upgradeHead;
    this.action = parts.action;
    this.parameters = parts.parameters;
    this.query = parts.query;
    this.apiVersion = parts.apiVersion;
    this.call = { signal: this.#abort.signal, log: parts.log, reached() {} };
  }

  admit(identity: Identity, authorize: Authorize): void {
    this.#identity = identity;
    this.#authorize = authorize;
  }

  /** Who asks; known once the server has admitted the request. */
  get identity(): Identity {
    if (this.#identity === undefined) throw new Failure("INTERNAL", "a request reached its handler without an identity");
    return this.#identity;
  }

  /** Asks the operator's policy. Every route does so once before it touches the engine: the server, or the handler that knows the spec. */
  async authorize(intent: Omit<Intent, "action">): Promise<void> {
    const { identity } = this;
    if (this.#authorize === undefined) throw new Failure("INTERNAL", "a request reached its handler without the policy");
    await this.#authorize(identity, { action: this.action, ...intent });
  }

  /** Parameter of the path; routes and handlers are written together, so that it is there. */
  parameter(name: string): string {
    return this.parameters[name] ?? "";
  }

  /** Makes what this request began stop: its client is gone, or the server closes. */
  abort(): void {
    this.#abort.abort(new Failure("CANCELLED", "the request was cancelled"));
  }

  json(status: number, body: unknown): void {
    this.#send(status, "application/json", `${JSON.stringify(body)}\n`);
  }

  text(status: number, body: string): void {
    this.#send(status, "text/plain; charset=utf-8", body);
  }

  empty(status: number): void {
    this.response.writeHead(status);
    this.response.end();
  }

  #send(status: number, type: string, body: string): void {
    this.response.writeHead(status, { "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
    this.response.end(body);
  }

  /** Headers at once: clients of long answers wait for them before they go on. */
  begin(status: number, type: string): void {
    this.response.writeHead(status, { "Content-Type": type });
    this.response.flushHeaders();
  }

  /** Resolves when the client has taken enough for more to be worth producing; rejects CANCELLED when it went away. */
  async write(bytes: string | Uint8Array): Promise<void> {
    if (this.call.signal.aborted) throw this.call.signal.reason;
    if (this.response.write(bytes)) return;
    await drained(this.response, this.call.signal);
  }
}

/** Waits for `drain` or for the end of the connection, whichever comes first. */
export async function drained(stream: NodeJS.EventEmitter, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      stream.removeListener("drain", done);
      stream.removeListener("close", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    stream.once("drain", done);
    stream.once("close", done);
    signal.addEventListener("abort", done, { once: true });
  });
  signal.throwIfAborted();
}
