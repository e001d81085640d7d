/**
 * A web page that asks the API by its reader's browser. The daemon listens on no port, so the reader has a forwarder to its socket; the page finds
 * that on the loopback, or by a name of its own that it makes lead there (DNS rebinding). The control is a daemon that was told to trust the page.
 */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { request } from "node:http";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";

const root = process.getuid?.() === 0;
if (!root) console.log("web-page: skipped, because the launcher needs root");

/** A daemon with a workload to be renamed, and a port of the loopback that leads to its socket. */
interface Reader {
  readonly daemon: TestDaemon;
  readonly forwarder: Server;
  readonly port: number;
}

async function sitDown(configuration: object): Promise<Reader> {
  const daemon = await TestDaemon.open({ configuration });
  await daemon.client.workloads.create({ Image: "busybox", Cmd: ["true"] }, { name: "victim" });
  const forwarder = createServer((peer) => {
    const socket = connect(daemon.socket);
    for (const end of [peer, socket]) end.on("error", () => end.destroy());
    peer.pipe(socket).pipe(peer);
  });
  await new Promise<void>((resolve) => forwarder.listen(0, "127.0.0.1", resolve));
  return { daemon, forwarder, port: (forwarder.address() as AddressInfo).port };
}

async function standUp({ daemon, forwarder }: Reader): Promise<void> {
  forwarder.close();
  await daemon.close();
}

interface Ask {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** With headers of which a browser lets no page decide. */
function ask(port: number, { method, path, body, headers }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, method, path, headers, agent: false }, (response) => {
      let text = "";
      response.on("data", (bytes: Buffer) => (text += bytes.toString()));
      response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.once("error", reject);
    asked.end(body);
  });
}

const names = async ({ daemon }: Reader): Promise<string[]> =>
  (await daemon.client.workloads.list({ all: true })).flatMap(({ Names }) => Names.map((name) => name.slice(1))).toSorted();

/** What the page asks for, and whether it got it. */
const DEEDS: readonly { readonly deed: string; readonly carryOut: (reader: Reader) => Promise<boolean> }[] = [
  {
    deed: "read what there is, by a name of its own that leads to the daemon",
    carryOut: async ({ port }) =>
      (await ask(port, { method: "GET", path: "/containers/json?all=1", headers: { Host: `evil.example:${port}` } })).text.includes("victim"),
  },
  {
    deed: "make a workload, by a name of its own that leads to the daemon",
    carryOut: async (reader) => {
      const headers = { Host: `evil.example:${reader.port}`, Origin: `http://evil.example:${reader.port}`, "Content-Type": "application/json" };
      await ask(reader.port, { method: "POST", path: "/containers/create?name=intruder", body: JSON.stringify({ Image: "busybox" }), headers });
      return (await names(reader)).includes("intruder");
    },
  },
  {
    deed: "send from its own place what needs no answer, as older browsers let it",
    carryOut: async (reader) => {
      await ask(reader.port, {
        method: "POST",
        path: "/containers/victim/rename?name=older",
        headers: { Host: `127.0.0.1:${reader.port}`, Origin: "https://evil.example" },
      });
      return (await names(reader)).includes("older");
    },
  },
  {
    deed: "send from its own place what needs no answer, as newer browsers let it",
    carryOut: async (reader) => {
      const headers = { Host: `localhost:${reader.port}`, Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" };
      const [name = ""] = (await names(reader)).filter((found) => found !== "intruder");
      await ask(reader.port, { method: "POST", path: `/containers/${name}/rename?name=newer`, headers });
      return (await names(reader)).includes("newer");
    },
  },
];

describe.skipIf(!root)("a web page cannot", () => {
  let reader: Reader;
  let trusting: Reader;
  beforeAll(async () => {
    [reader, trusting] = await Promise.all([sitDown({}), sitDown({ trustedHosts: ["evil.example"] })]);
  });
  afterAll(() => Promise.all([reader, trusting].map(standUp)));

  for (const { deed, carryOut } of DEEDS)
    it(`${deed}, unless the operator trusts it`, async () => {
      expect(await carryOut(reader)).toBe(false);
      expect(await carryOut(trusting), "the control").toBe(true);
    });

  it("keep programs from asking through the same forwarder, and is told what it may do", async () => {
    const program = await ask(reader.port, { method: "GET", path: "/containers/json?all=1", headers: { Host: `127.0.0.1:${reader.port}` } });
    expect(program.status).toBe(200);
    expect(program.text).toContain("victim");
    const page = await ask(reader.port, { method: "GET", path: "/_ping", headers: { Host: "evil.example" } });
    expect(page.status).toBe(403);
    expect(JSON.parse(page.text)).toMatchObject({ code: "DENIED_BY_POLICY", remedy: expect.stringContaining("trustedHosts") as unknown });
  });

  it("find a port of the daemon or its launcher, for they listen on none", () => {
    for (const pid of [reader.daemon.pid, reader.daemon.launcherPid()]) expect(portsOf(pid)).toEqual([]);
    expect(portsOf(process.pid), "the control: this process's forwarders are found").toEqual(expect.arrayContaining([reader.port, trusting.port]));
  });
});

/** Ports of the host that a process listens on. */
function portsOf(pid: number): number[] {
  const sockets = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return ""; // closed meanwhile
    }
  });
  const rows = ["tcp", "tcp6"].flatMap((name) => readFileSync(`/proc/${pid}/net/${name}`, "utf8").split("\n").slice(1));
  return rows.flatMap((row) => {
    const [, local = "", , state, , , , , , inode] = row.trim().split(/\s+/);
    return state === "0A" && sockets.includes(`socket:[${inode}]`) ? [Number.parseInt(local.slice(local.lastIndexOf(":") + 1), 16)] : [];
  });
}
