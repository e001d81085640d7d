/** A daemon of a few lines, for tests: it answers what the test says and remembers what it was asked. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";

export interface Asked {
  readonly method: string;
  /** Without the version in front, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export type Answer =
  | { readonly status?: number; readonly json: unknown; readonly headers?: Readonly<Record<string, string>> }
  | { readonly status?: number; readonly text: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly raw: (response: ServerResponse, asked: Asked) => void }
  /** After `101`. */
  | { readonly upgrade: (socket: Duplex, asked: Asked) => void; readonly contentType?: string };

export type Script = Readonly<Record<string, Answer | ((asked: Asked) => Answer)>>;

export class ScriptedServer {
  readonly host: string;
  readonly asked: Asked[] = [];
  /** Connections that were ever made. */
  connections = 0;
  private readonly close: () => Promise<void>;

  private constructor(host: string, close: () => Promise<void>) {
    this.host = host;
    this.close = close;
  }

  /** Keys are `GET /containers/json`; `*` stands for one part of a path. What is not scripted is `page not found`. */
  static async start(script: Script, options: { readonly serverHeader?: string } = {}): Promise<ScriptedServer> {
    const directory = await mkdtemp(join(tmpdir(), "bulkhead-test-"));
    const path = join(directory, "s.sock");
    const server = createServer();
    const sockets = new Set<Duplex>();
    const scripted = new ScriptedServer(`unix://${path}`, async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(directory, { recursive: true, force: true });
    });
    server.on("connection", (socket) => {
      scripted.connections++;
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    });
    const header = options.serverHeader ?? "Bulkhead/0.1.0 (linux)";
    server.on("request", (request, response) => {
      response.setHeader("Server", header);
      void readBody(request).then((body) => answer(response, scripted.note(request, body), script));
    });
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      // Node 24 gives the body of an upgrade on the socket.
      void readUpgradeBody(request, socket, head).then((body) => upgrade(socket, scripted.note(request, body), script, header));
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return scripted;
  }

  note(request: IncomingMessage, body: string): Asked {
    const url = new URL(request.url ?? "/", "http://bulkhead");
    const asked: Asked = {
      method: request.method ?? "",
      path: url.pathname.replace(/^\/v1\.\d+/, ""),
      query: url.searchParams,
      headers: request.headers,
      body,
    };
    this.asked.push(asked);
    return asked;
  }

  /** `POST /containers/create` and so on, in order. */
  get conversation(): readonly string[] {
    return this.asked.map(({ method, path }) => `${method} ${path}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

async function readUpgradeBody(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<string> {
  const length = Number(request.headers["content-length"] ?? 0);
  let body = head;
  while (body.length < length) {
    const more = socket.read() as Buffer | null;
    if (more === null) await new Promise((resolve) => socket.once("readable", resolve));
    else body = Buffer.concat([body, more]);
  }
  if (body.length > length) socket.unshift(body.subarray(length));
  return body.subarray(0, length).toString("utf8");
}

function find(script: Script, asked: Asked): Answer {
  for (const [key, value] of Object.entries(script)) {
    const [method, path = ""] = key.split(" ");
    const pattern = new RegExp(`^${path.replaceAll("*", "[^/]+").replaceAll(".", "\\.")}$`);
    if (method === asked.method && pattern.test(asked.path)) return typeof value === "function" ? value(asked) : value;
  }
  return { status: 404, json: { message: "page not found" } };
}

function answer(response: ServerResponse, asked: Asked, script: Script): void {
  const found = find(script, asked);
  if ("raw" in found) {
    found.raw(response, asked);
    return;
  }
  if ("upgrade" in found) {
    response.writeHead(400).end(JSON.stringify({ message: "an upgrade was expected" }));
    return;
  }
  const body = "json" in found ? JSON.stringify(found.json) : found.text;
  response.writeHead(found.status ?? 200, {
    "Content-Type": "application/json",
    ...found.headers,
    ...(found.status === 204 || found.status === 304 ? {} : { "Content-Length": Buffer.byteLength(body) }),
  });
  response.end(found.status === 204 || found.status === 304 || asked.method === "HEAD" ? undefined : body);
}

function upgrade(socket: Duplex, asked: Asked, script: Script, header: string): void {
  const found = find(script, asked);
  if ("upgrade" in found) {
    const protocol = asked.headers.upgrade ?? "tcp";
    const type = found.contentType ?? "application/vnd.docker.multiplexed-stream";
    socket.write(`HTTP/1.1 101 UPGRADED\r\nServer: ${header}\r\nContent-Type: ${type}\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
    found.upgrade(socket, asked);
    return;
  }
  const body = "json" in found ? JSON.stringify(found.json) : "text" in found ? found.text : "";
  const status = "status" in found ? (found.status ?? 200) : 200;
  socket.end(
    `HTTP/1.1 ${status} X\r\nServer: ${header}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

/** A frame of Docker's joined outputs. */
export function dockerFrame(stream: 1 | 2, text: string): Buffer {
  const payload = Buffer.from(text);
  const header = Buffer.alloc(8);
  header.writeUInt8(stream, 0);
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

/** Everything until the other side has ended its half. */
export async function readAll(socket: Duplex): Promise<string> {
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part));
  await new Promise((resolve) => socket.once("end", resolve));
  return Buffer.concat(parts).toString("utf8");
}
