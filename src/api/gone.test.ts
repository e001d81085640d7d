import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { closeWhenGone } from "./gone.ts";

let directory: string;
let client: Socket;
let served: Socket;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "bulkhead-gone-"));
  const server = createServer({ allowHalfOpen: true }).listen(join(directory, "s"));
  await once(server, "listening");
  const accepted = once(server, "connection");
  client = createConnection({ path: join(directory, "s"), allowHalfOpen: true });
  served = ((await accepted) as [Socket])[0];
  server.close();
  served.on("error", () => undefined);
  served.on("end", () => closeWhenGone(served, 1));
  served.resume();
});
afterEach(() => {
  client.destroy();
  served.destroy();
  rmSync(directory, { recursive: true, force: true });
});

test("a connection whose client has gone is closed though nothing is written to it", async () => {
  const closed = new Promise<void>((resolve) => served.once("close", () => resolve()));
  client.destroy();
  await closed;
  expect(served.destroyed).toBe(true);
});

test("a client that has only closed its half reads on, and not one byte too many", async () => {
  const ended = once(served, "end");
  client.end();
  await ended;
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setTimeout(resolve, 2));
  served.end("late");
  const [bytes] = (await once(client, "data")) as [Buffer];
  expect(bytes.toString()).toBe("late");
});
