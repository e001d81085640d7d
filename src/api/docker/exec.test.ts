import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startFakeDaemon, type FakeDaemon } from "../testkit/fake-daemon.ts";
import { ask, muxed, RawClient, splitHead, textOf } from "../testkit/raw-client.ts";

let daemon: FakeDaemon;
let container: string;
const post = (path: string, body?: unknown) => ask(daemon.socket, "POST", path, { body });

beforeEach(async () => {
  daemon = await startFakeDaemon();
  container = textOf((await post("/containers/create", { Image: "busybox" })).json.Id);
  await post(`/containers/${container}/start`);
});
afterEach(() => daemon.close());

async function createExec(command: readonly string[], more: object = {}): Promise<string> {
  const { status, json } = await post(`/containers/${container}/exec`, { Cmd: command, AttachStdout: true, AttachStderr: true, ...more });
  expect(status).toBe(201);
  return textOf(json.Id);
}

function startExec(id: string, headers: readonly string[] = ["Connection: Upgrade", "Upgrade: tcp"]): RawClient {
  const client = new RawClient(daemon.socket);
  client.ask(`POST /exec/${id}/start`, headers, '{"Detach":false,"Tty":false}');
  return client;
}

describe("docker exec, request by request", () => {
  it("starts by an upgrade that has a JSON body, and knows the exit code before the stream ends", async () => {
    const id = await createExec(["exit", "3"]);
    const client = startExec(id);
    const { head } = splitHead(await client.untilEnd());
    expect(head[0]).toBe("HTTP/1.1 101 UPGRADED");
    expect((await ask(daemon.socket, "GET", `/exec/${id}/json`)).json).toMatchObject({ ID: id, ExitCode: 3, Running: false, ContainerID: container });
  });

  it("reads a body that comes later than the headers, byte by byte", async () => {
    const id = await createExec(["echo", "late"]);
    const client = new RawClient(daemon.socket);
    const body = '{"Tty":false}';
    client.send(`POST /exec/${id}/start HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: ${body.length}\r\n\r\n`);
    for (const byte of body) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      client.send(byte);
    }
    expect(splitHead(await client.untilEnd()).body).toBe(muxed(1, "late\n"));
  });

  it("takes input that follows the body in the same packet", async () => {
    const id = await createExec(["count"], { AttachStdin: true });
    const client = new RawClient(daemon.socket);
    client.socket.end(`POST /exec/${id}/start HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}12345`);
    expect(splitHead(await client.untilEnd()).body).toBe(muxed(1, "5\n"));
  });

  it("works without an upgrade too", async () => {
    const client = startExec(await createExec(["echo", "plain"]), []);
    const { head, body } = splitHead(await client.untilEnd());
    expect([head[0], body]).toEqual(["HTTP/1.1 200 OK", muxed(1, "plain\n")]);
  });

  it("tells a command that is not there in the stream, with exit code 127", async () => {
    const id = await createExec(["nope"]);
    expect(await startExec(id).untilEnd()).toContain("executable file not found in $PATH");
    expect((await ask(daemon.socket, "GET", `/exec/${id}/json`)).json.ExitCode).toBe(127);
  });

  it("tells a limit that leaves no room in the stream, with exit code 126; detached as an error", async () => {
    const id = await createExec(["no-room"]);
    const said = await startExec(id).untilEnd();
    expect(splitHead(said).head[0]).toBe("HTTP/1.1 101 UPGRADED");
    expect(said).toContain("limit of 4 processes\nend some of them");
    expect((await ask(daemon.socket, "GET", `/exec/${id}/json`)).json).toMatchObject({ ExitCode: 126, Running: false });
    const { status, json } = await post(`/exec/${await createExec(["no-room"])}/start`, { Detach: true });
    expect([status, json.code]).toEqual([507, "EXHAUSTED"]);
  });

  it("gives a terminal its first size and later ones", async () => {
    const id = await createExec(["size", "SIGWINCH"], { Tty: true });
    const client = new RawClient(daemon.socket);
    client.ask(`POST /exec/${id}/start`, ["Connection: Upgrade", "Upgrade: tcp"], '{"Tty":true,"ConsoleSize":[20,70]}');
    await client.until((text) => text.includes("20 70"));
    expect((await post(`/exec/${id}/resize?h=33&w=101`)).status).toBe(200);
    expect(await client.untilEnd()).toContain("33 101");
  });

  it("runs on its own when detached", async () => {
    const id = await createExec(["true"]);
    const { status, body } = await post(`/exec/${id}/start`, { Detach: true });
    expect([status, body.length]).toEqual([200, 0]);
  });

  it("is refused a second time with 409, after its container stopped with 404, without a command with 400", async () => {
    const id = await createExec(["true"]);
    await startExec(id).untilEnd();
    expect((await post(`/exec/${id}/start`, {})).status).toBe(409);
    const late = await createExec(["true"]);
    await post(`/containers/${container}/stop?t=0`);
    expect((await post(`/exec/${late}/start`, {})).status).toBe(404);
    expect((await post(`/containers/${container}/exec`, { Cmd: [] })).status).toBe(400);
    expect((await ask(daemon.socket, "GET", "/exec/none/json")).status).toBe(404);
  });
});
