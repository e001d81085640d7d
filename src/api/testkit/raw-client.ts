/** Clients for tests: one that speaks whole HTTP requests, one that sees every byte. */

import { request } from "node:http";
import { connect, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** The body read as JSON, for tests to look into. */
  readonly json: Json;
}

/** A JSON document that is looked into without ceremony: what is not there is undefined. */
export interface Json {
  readonly [name: string]: Json;
}

/** A text of the document; anything else as JSON. */
export function textOf(value: Json | undefined): string {
  const plain: unknown = value;
  return typeof plain === "string" ? plain : JSON.stringify(plain);
}

export interface AskOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One request; text and bytes are sent as they are, anything else as JSON. */
export function ask(socketPath: string, method: string, path: string, options: AskOptions = {}): Promise<Answer> {
  const { body } = options;
  const payload = body === undefined ? undefined : typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const type = payload === undefined ? {} : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(payload) };
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, headers: { ...type, ...options.headers }, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const whole = Buffer.concat(chunks);
        let json: unknown;
        try {
          json = JSON.parse(whole.toString("utf8"));
        } catch {
          json = undefined;
        }
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: whole, json: json as Json });
      });
    });
    asked.on("error", reject);
    asked.end(payload);
  });
}

/** A connection of which every byte is kept. */
export class RawClient {
  readonly socket: Socket;
  #bytes = "";
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    this.socket.on("data", (chunk: Buffer) => {
      this.#bytes += chunk.toString("latin1");
      this.#wake();
    });
    for (const event of ["end", "close", "error"]) {
      this.socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  /** Everything so far, one character a byte. */
  get text(): string {
    return this.#bytes;
  }

  get ended(): boolean {
    return this.#ended;
  }

  send(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  /** A request with the headers that every client sends; `body` gets its length. */
  ask(line: string, headers: readonly string[] = [], body?: string): void {
    const length = body === undefined ? [] : ["Content-Type: application/json", `Content-Length: ${Buffer.byteLength(body)}`];
    this.send(`${[`${line} HTTP/1.1`, "Host: docker", ...headers, ...length].join("\r\n")}\r\n\r\n${body ?? ""}`);
  }

  async until(met: (text: string) => boolean, what = "the expected bytes"): Promise<string> {
    const deadline = Date.now() + 5000;
    while (!met(this.#bytes)) {
      if (this.#ended) throw new Error(`the connection ended before ${what}: ${JSON.stringify(this.#bytes)}`);
      if (Date.now() > deadline) throw new Error(`no ${what} within 5 s: ${JSON.stringify(this.#bytes)}`);
      await this.#woken(100);
    }
    return this.#bytes;
  }

  async untilEnd(): Promise<string> {
    const deadline = Date.now() + 5000;
    while (!this.#ended) {
      if (Date.now() > deadline) throw new Error(`the connection did not end within 5 s: ${JSON.stringify(this.#bytes)}`);
      await this.#woken(100);
    }
    return this.#bytes;
  }

  close(): void {
    this.socket.destroy();
  }

  async #woken(patienceMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, patienceMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Head and body of raw bytes. */
export function splitHead(text: string): { readonly head: readonly string[]; readonly body: string } {
  const end = text.indexOf("\r\n\r\n");
  return { head: text.slice(0, end).split("\r\n"), body: text.slice(end + 4) };
}

/** The frame that Docker's multiplexed stream carries, one character a byte. */
export function muxed(stream: 1 | 2, text: string): string {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(text.length, 4);
  return header.toString("latin1") + text;
}
