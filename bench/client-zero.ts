/**
 * Client zero: a daemon that answers the conversations of `docker run --rm` and `docker exec` at once and runs nothing. What
 * the stock client takes with it is what the client itself costs; a real daemon is measured by what it adds.
 *
 *     node bench/serve-client-zero.ts /tmp/zero.sock
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { rmSync } from "node:fs";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

const HEADERS = { "Api-Version": "1.48", "Docker-Experimental": "false", Ostype: "linux", Server: "ClientZero/1 (linux)" };
const UPGRADED = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

/** One pretended workload or exec: its open streams end when it is started. */
interface Pretence {
  attached?: Duplex;
  waiting?: ServerResponse;
}

/** Listens on a unix socket until closed. */
export async function serveClientZero(path: string): Promise<Server> {
  const pretences = new Map<string, Pretence>();
  let count = 0;
  const make = (): string => {
    const id = (++count).toString(16).padStart(64, "0");
    pretences.set(id, {});
    return id;
  };
  const server = createServer((request, response) => answer(request, response, { pretences, make }));
  server.on("upgrade", (request: IncomingMessage, socket: Socket) => {
    const id = idIn(request.url ?? "");
    socket.on("error", () => socket.destroy());
    socket.resume();
    // The head goes out with what follows it, as the client does not mind.
    if (/\/exec\//.test(request.url ?? "")) socket.end(UPGRADED);
    else {
      socket.write(UPGRADED);
      const pretence = pretences.get(id);
      if (pretence !== undefined) pretence.attached = socket;
    }
  });
  server.keepAliveTimeout = 0;
  rmSync(path, { force: true });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

interface Pretending {
  readonly pretences: Map<string, Pretence>;
  readonly make: () => string;
}

function answer(request: IncomingMessage, response: ServerResponse, { pretences, make }: Pretending): void {
  const url = (request.url ?? "").replace(/^\/v1\.\d+/, "");
  const id = idIn(url);
  request.resume();
  if (url === "/_ping") say(response, 200, "");
  else if (url.startsWith("/containers/create")) sayJson(response, 201, { Id: make(), Warnings: [] });
  else if (url.includes("/wait")) {
    response.writeHead(200, { ...HEADERS, "Content-Type": "application/json" });
    response.flushHeaders();
    const pretence = pretences.get(id);
    if (pretence !== undefined) pretence.waiting = response;
  } else if (url.startsWith("/containers/") && url.includes("/start")) {
    say(response, 204, undefined);
    const pretence = pretences.get(id);
    pretence?.attached?.end();
    pretence?.waiting?.end('{"StatusCode":0}\n');
    pretences.delete(id);
  } else if (url.startsWith("/containers/") && url.endsWith("/exec")) sayJson(response, 201, { Id: make() });
  else if (url.startsWith("/exec/")) {
    pretences.delete(id);
    sayJson(response, 200, { ID: id, Running: false, ExitCode: 0 });
  } else if (url.startsWith("/containers/")) sayJson(response, 200, { Id: "0".repeat(64), State: { Status: "running", Running: true }, Config: {} });
  else sayJson(response, 404, { message: "page not found" });
}

function idIn(url: string): string {
  return /\/(?:containers|exec)\/([0-9a-f]{64})/.exec(url)?.[1] ?? "";
}

function sayJson(response: ServerResponse, status: number, body: object): void {
  say(response, status, `${JSON.stringify(body)}\n`);
}

function say(response: ServerResponse, status: number, body: string | undefined): void {
  const length = body === undefined ? {} : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
  response.writeHead(status, { ...HEADERS, ...length });
  response.end(body);
}
