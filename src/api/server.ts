/**
 * The server: from bytes on a unix socket to a handler, and from a failure to an answer. In the order of a request's life:
 *
 *     connection → identity asked → headers → route found → version checked → web pages refused → policy asked → handler → answer
 *
 * Nothing is logged per request at `info`. Answers of any length may be streamed; only headers and JSON bodies have deadlines.
 */

import { createServer, ServerResponse, type IncomingMessage, type Server } from "node:http";
import { connect, createServer as createDoor, type Server as Door, type Socket } from "node:net";
import { unlink } from "node:fs/promises";
import type { Duplex } from "node:stream";
import type { Log } from "../contract/call.ts";
import { Failure, toFailure } from "../contract/failure.ts";
import type { Authorize } from "./access.ts";
import { Connections, type Identify } from "./connections.ts";
import { Exchange } from "./exchange.ts";
import { Query } from "./query.ts";
import { Router, type Found, type Route } from "./router.ts";
import { errorBody, HTTP_STATUS } from "./status.ts";
import { refuseWebPages } from "./web-page.ts";

export interface ServerParts {
  readonly routes: readonly Route[];
  readonly identify: Identify;
  readonly authorize: Authorize;
  readonly log: Log;
  /** Web pages that may ask, and names by which the API may be asked: HOST or HOST:PORT. */
  readonly trustedHosts: readonly string[];
  /** Sent with every answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** Splits the version off the path; rejects INVALID_SPEC where it is not spoken. */
  readonly readVersion: (path: string) => { readonly path: string; readonly apiVersion: number };
}

/** Connections that may wait to be taken: beyond Node's 511, a burst of clients would be refused. The kernel cuts it at somaxconn. */
const BACKLOG = 4096;
/** How long the rest of a refused body may take. */
const REST_MS = 10_000;
/** How long `close` waits for deeds that are under way. */
const CLOSE_GRACE_MS = 10_000;

export class ApiServer {
  readonly #parts: ServerParts;
  readonly #router: Router;
  readonly #connections: Connections;
  readonly #live = new Map<Exchange, Route>();
  readonly #server: Server;
  readonly #headers: Map<string, string>;
  /** Further sockets, whose connections the one server serves; and which connection came by which. */
  readonly #doors: Door[] = [];
  readonly #paths = new WeakMap<Socket, string>();
  #path = "";

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.#router = new Router(parts.routes);
    this.#connections = new Connections(parts.identify);
    this.#headers = new Map(Object.entries(parts.headers));
    this.#server = createServer({
      maxHeaderSize: 64 * 1024,
      headersTimeout: 10_000,
      connectionsCheckingInterval: 2_000,
      requestTimeout: 0,
      keepAliveTimeout: 0,
      noDelay: false,
    });
    this.#server.timeout = 0;
    this.#server.on("connection", (socket) => this.#connections.opened(socket, this.#paths.get(socket) ?? this.#path));
    this.#server.on("request", (request, response) => void this.#serve(request, response));
    this.#server.on("upgrade", (request, socket, head) => this.#serveUpgrade(request, socket, head));
    this.#server.on("clientError", (error: NodeJS.ErrnoException, socket) => refuseConnection(error, socket));
  }

  /** Listens on a unix socket; on a further one when it is called again. A socket file that nobody listens on is replaced; one in use rejects ALREADY_EXISTS. */
  async listen(path: string): Promise<void> {
    if (!path.startsWith("/")) throw new Failure("INVALID_SPEC", `the API listens on unix sockets only, not on ${JSON.stringify(path)}`);
    const server = this.#path === "" ? this.#server : this.#openDoor(path);
    if (server === this.#server) this.#path = path;
    try {
      await bind(server, path);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "EADDRINUSE" || (await answers(path))) {
        throw new Failure("ALREADY_EXISTS", `cannot listen on ${path}: ${(thrown as Error).message}`, {
          remedy: "End the daemon that listens there, or choose another --socket.",
          cause: thrown,
        });
      }
      await unlink(path);
      await bind(server, path);
    }
  }

  #openDoor(path: string): Door {
    const door = createDoor((socket) => {
      this.#paths.set(socket, path);
      this.#server.emit("connection", socket);
    });
    this.#doors.push(door);
    return door;
  }

  /** Takes no new requests, ends streams, lets single deeds finish, then closes every connection. Workloads go on. */
  async close(): Promise<void> {
    const closed = Promise.all([this.#server, ...this.#doors].map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
    const deadline = Date.now() + CLOSE_GRACE_MS;
    for (const [exchange, route] of this.#live) if (!route.outlivesClient || exchange.hijacked) exchange.abort();
    while (this.#live.size > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
    for (const exchange of this.#live.keys()) exchange.abort();
    this.#connections.destroyAll();
    await closed;
  }

  #serveUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Until the connection is taken over, an upgrade request is answered like any other.
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as Socket);
    response.once("finish", () => socket.end());
    socket.on("error", () => socket.destroy());
    void this.#serve(request, response, head);
  }

  async #serve(request: IncomingMessage, response: ServerResponse, upgradeHead?: Buffer): Promise<void> {
    response.setHeaders(this.#headers);
    const socket = request.socket;
    const url = request.url ?? "/";
    const mark = url.indexOf("?");
    let found: Found | undefined;
    let exchange: Exchange | undefined;
    try {
      const { path, apiVersion } = this.#parts.readVersion(mark < 0 ? url : url.slice(0, mark));
      found = this.#router.find(request.method, path);
      const route = found?.route;
      exchange = new Exchange({
        request,
        response,
        socket,
        upgradeHead,
        action: route === undefined ? "" : `${route.method} ${route.path}`,
        parameters: found?.parameters ?? {},
        query: new Query(mark < 0 ? "" : url.slice(mark + 1)),
        apiVersion,
        log: this.#parts.log,
      });
      refuseWebPages(request.headers, this.#parts.trustedHosts);
      if (route === undefined) throw new Failure("NOT_FOUND", "page not found");
      this.#live.set(exchange, route);
      if (!route.outlivesClient) abortWhenGone(exchange);
      await this.#admit(exchange, route);
      await route.handle(exchange);
    } catch (thrown) {
      this.#answerFailure(exchange, response, toFailure(thrown));
    } finally {
      if (exchange !== undefined) this.#live.delete(exchange);
    }
  }

  async #admit(exchange: Exchange, route: Route): Promise<void> {
    if (route.authorizedBy === "nobody") return;
    exchange.admit(await this.#connections.identityOf(exchange.socket), this.#parts.authorize);
    if (route.authorizedBy === "handler") return;
    const subject = Object.values(exchange.parameters)[0];
    await exchange.authorize(subject === undefined ? {} : { subject });
  }

  #answerFailure(exchange: Exchange | undefined, response: ServerResponse, failure: Failure): void {
    if (failure.code === "INTERNAL") this.#parts.log.error({ err: failure, action: exchange?.action }, "request failed");
    if (exchange?.hijacked) {
      exchange.socket.end();
      return;
    }
    if (response.headersSent) {
      // The status is out: all that can be said is that the answer is not whole.
      response.destroy();
      return;
    }
    const status = HTTP_STATUS[failure.code];
    if (!response.req.complete && exchange?.upgradeHead === undefined) takeRest(response.req);
    if (status === 304) {
      response.writeHead(304);
      response.end();
      return;
    }
    const body = `${JSON.stringify(errorBody(failure))}\n`;
    response.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
    response.end(body);
  }
}

function abortWhenGone(exchange: Exchange): void {
  exchange.response.once("close", () => {
    if (!exchange.response.writableFinished && !exchange.hijacked) exchange.abort();
  });
}

/**
 * A body that nobody wants any more is read and dropped for a while: closing over it would break the client's writing before it
 * has read why.
 */
function takeRest(request: IncomingMessage): void {
  const patience = setTimeout(() => {
    // A request that was whole has given its connection back, and another one may be using it.
    if (!request.complete) request.socket.destroy();
  }, REST_MS);
  patience.unref();
  request.once("close", () => clearTimeout(patience));
  request.resume();
}

/** What is not HTTP at all, or came too slowly, gets one line and no connection. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const status =
    error.code === "HPE_HEADER_OVERFLOW"
      ? "431 Request Header Fields Too Large"
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "408 Request Timeout"
        : "400 Bad Request";
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

async function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  });
}

async function bind(server: Server | Door, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ path, backlog: BACKLOG }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}
