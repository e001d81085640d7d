/**
 * HTTP over the daemon's unix socket. Every other file of the SDK speaks through this one; it knows no resource.
 *
 * No request has a time limit of its own: whoever wants one passes `AbortSignal.timeout()` as `signal`.
 */

import { Agent, request, type ClientRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { Failure, failureFromDocument } from "./failure.ts";

/** API version that this SDK was written against; the daemon answers in its terms. */
const API_VERSION = "v1.44";

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface Ask {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  /** `/containers/json`; paths below `/bulkhead/` go as they are, Docker's get the version in front. */
  readonly path: string;
  readonly query?: Query | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is; only one of `body` and `bytes`. */
  readonly bytes?: AsyncIterable<Uint8Array> | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Hijacked {
  readonly socket: Socket;
  /** The answer's content type, which tells how outputs are joined. */
  readonly contentType: string;
}

export class Transport {
  readonly socketPath: string;
  private readonly agent: Agent;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
    // `servername` spares Node a regular expression for IPv6 addresses, whose making takes milliseconds of a short program's life.
    const options = { keepAlive: true, maxSockets: Infinity, maxFreeSockets: 8, servername: "" };
    this.agent = new Agent(options);
  }

  /** Closes what is open: requests under way fail. */
  close(): void {
    this.agent.destroy();
  }

  /** Sends and resolves with the answer once its headers are there. Rejects for every status from 400 on; 304 is an answer. */
  async send(ask: Ask): Promise<IncomingMessage> {
    const { answer } = await this.exchange(ask, false);
    return answer;
  }

  async json<T>(ask: Ask): Promise<T> {
    const answer = await this.send(ask);
    const text = await readText(answer, ask);
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new Failure("CORRUPT_DATA", `${ask.method} ${ask.path}: the answer is not JSON`, { cause });
    }
  }

  /** For requests whose answer is empty. Resolves with false where the daemon said that nothing changed (304). */
  async change(ask: Ask): Promise<boolean> {
    const answer = await this.send(ask);
    await readText(answer, ask);
    return answer.statusCode !== 304;
  }

  /** The answer's body as it comes. Leaving the loop early closes the connection. */
  async stream(ask: Ask): Promise<AsyncIterable<Uint8Array>> {
    return readBytes(await this.send(ask), ask);
  }

  /** The answer's headers, and its body as it comes: read it, or leave the loop to close the connection. */
  async open(ask: Ask): Promise<{ readonly headers: IncomingMessage["headers"]; readonly bytes: AsyncIterable<Uint8Array> }> {
    const answer = await this.send(ask);
    return { headers: answer.headers, bytes: readBytes(answer, ask) };
  }

  /** Takes the connection over after the daemon agreed: bytes in both directions, each side ended alone. */
  async hijack(ask: Ask, protocol = "tcp"): Promise<Hijacked> {
    const headers = { ...ask.headers, Connection: "Upgrade", Upgrade: protocol };
    const { answer, socket } = await this.exchange({ ...ask, headers }, true);
    if (socket === undefined) {
      answer.destroy();
      throw new Failure("CORRUPT_DATA", `${ask.method} ${ask.path}: the daemon did not hand the connection over (status ${answer.statusCode})`);
    }
    return { socket, contentType: answer.headers["content-type"] ?? "" };
  }

  private exchange(ask: Ask, upgrade: boolean): Promise<{ answer: IncomingMessage; socket?: Socket }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ answer: IncomingMessage; socket?: Socket }>();
    const body = ask.body === undefined ? undefined : Buffer.from(JSON.stringify(ask.body));
    const outgoing = request({
      socketPath: this.socketPath,
      method: ask.method,
      path: pathOf(ask),
      agent: this.agent,
      headers: {
        Host: "bulkhead",
        ...(body === undefined ? {} : { "Content-Type": "application/json", "Content-Length": String(body.length) }),
        ...ask.headers,
      },
      ...(ask.signal === undefined ? {} : { signal: ask.signal }),
    });
    outgoing.on("error", (thrown) => {
      const again = outgoing.reusedSocket && (ask.method === "GET" || ask.method === "HEAD") && isReset(thrown);
      // The daemon closed an idle connection at the moment we used it: nothing was done, ask on a fresh one.
      if (again) this.exchange(ask, upgrade).then(resolve, reject);
      else reject(this.failureOf(thrown, ask));
    });
    outgoing.on("response", (answer) => {
      if ((answer.statusCode ?? 0) < 400) resolve({ answer });
      else {
        const told = readText(answer, ask).then((text) => reject(failureFromDocument(parseLoosely(text), answer.statusCode ?? 0)), reject);
        // Nobody wants the rest of what is being sent.
        if (ask.bytes !== undefined) void told.then(() => outgoing.destroy());
      }
    });
    outgoing.on("upgrade", (answer: IncomingMessage, socket: Socket, head: Buffer) => {
      if (head.length > 0) socket.unshift(head);
      if (ask.signal !== undefined) abortWith(ask.signal, socket);
      resolve({ answer, socket });
    });
    if (ask.bytes === undefined) outgoing.end(body);
    else {
      pump(ask.bytes, outgoing).catch((thrown: unknown) => {
        reject(thrown);
        outgoing.destroy();
      });
    }
    return promise;
  }

  private failureOf(thrown: Error, ask: Ask): Failure {
    if (thrown instanceof Failure) return thrown;
    if (ask.signal?.aborted) return abortFailure(ask);
    const code = (thrown as NodeJS.ErrnoException).code;
    const where = `unix://${this.socketPath}`;
    if (code === "ENOENT" || code === "ECONNREFUSED") {
      return new Failure("UNAVAILABLE", `no Bulkhead daemon listens at ${where}`, {
        remedy: "start one with `systemctl start bulkhead` or `bulkhead daemon`, or set BULKHEAD_HOST",
        cause: thrown,
      });
    }
    if (code === "EACCES") {
      return new Failure("UNAUTHENTICATED", `no permission to connect to ${where}`, {
        remedy: "run as root, or add yourself to the group `bulkhead` and log in again",
        cause: thrown,
      });
    }
    return new Failure("CONNECTION_LOST", `the daemon at ${where} closed the connection before it answered ${ask.method} ${ask.path}`, { cause: thrown });
  }
}

function pathOf(ask: Ask): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(ask.query ?? {})) {
    if (value === undefined) continue;
    if (typeof value === "object") for (const one of value) query.append(name, one);
    else query.append(name, String(value));
  }
  const text = query.toString();
  const path = ask.path.startsWith("/bulkhead/") ? ask.path : `/${API_VERSION}${ask.path}`;
  return text === "" ? path : `${path}?${text}`;
}

/** `a/b` in a name must not become two parts of a path; `localhost:5000/app:1` keeps its form, as the daemon expects of images. */
export function pathPart(name: string): string {
  return name.split("/").map(encodeURIComponent).join("/").replaceAll("%3A", ":").replaceAll("%40", "@");
}

function isReset(thrown: Error): boolean {
  const code = (thrown as NodeJS.ErrnoException).code;
  return code === "ECONNRESET" || code === "EPIPE";
}

/** What an aborted call rejects with: TIMED_OUT where the signal was a timeout's, else CANCELLED. */
export function abortFailure(ask: { readonly method: string; readonly path: string; readonly signal?: AbortSignal | undefined }): Failure {
  const reason: unknown = ask.signal?.reason;
  if (reason instanceof Failure) return reason;
  const timedOut = reason instanceof Error && reason.name === "TimeoutError";
  return timedOut
    ? new Failure("TIMED_OUT", `${ask.method} ${ask.path} was not answered in the time that the caller allowed for the request`, { cause: reason })
    : new Failure("CANCELLED", `${ask.method} ${ask.path} was cancelled by the caller`, { cause: reason });
}

function abortWith(signal: AbortSignal, socket: Socket): void {
  const stop = (): void => void socket.destroy(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  socket.once("close", () => signal.removeEventListener("abort", stop));
}

async function* readBytes(answer: IncomingMessage, ask: Ask): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of answer) yield chunk as Uint8Array;
  } catch (thrown) {
    if (thrown instanceof Failure) throw thrown;
    if (ask.signal?.aborted) throw abortFailure(ask);
    throw new Failure("CONNECTION_LOST", `the daemon closed the connection in the middle of its answer to ${ask.method} ${ask.path}`, { cause: thrown });
  }
}

async function readText(answer: IncomingMessage, ask: Ask): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of readBytes(answer, ask)) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

function parseLoosely(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { message: text.trim().slice(0, 500) };
  }
}

async function pump(source: AsyncIterable<Uint8Array>, target: ClientRequest): Promise<void> {
  for await (const bytes of source) {
    if (target.destroyed) return;
    if (!target.write(bytes) && !target.destroyed) {
      await new Promise<void>((resolve, reject) => {
        const done = (thrown?: unknown): void => {
          target.off("drain", done);
          target.off("error", done);
          target.off("close", done);
          if (thrown instanceof Error) reject(thrown);
          else resolve();
        };
        target.on("drain", done);
        target.on("error", done);
        target.on("close", done);
      });
    }
  }
  target.end();
}
