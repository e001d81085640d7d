/**
 * Nothing of a run enters the boot: one machine is saved at the point where its agent waits, and two different workloads start from it. This is
 * the recipe that `TemplateFacet` will carry out (docs/adr: guest kernel).
 */

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { AgentMachine, findGuestKernel } from "./microvm-agent.ts";

const RAM_BYTES = 128 * 1024 * 1024;
const kernel = findGuestKernel("own") ?? findGuestKernel("debian");
const usable = kernel !== undefined && existsSync("/bin/busybox");
if (!usable) console.log("machines: no guest kernel with an initrd of this build, or no busybox-static: sh scripts/kernel/prepare.sh");

/** Its socket has a name a moment before anybody listens there. */
async function connected(path: string): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    const there = await new Promise<boolean>((settle) => socket.once("connect", () => settle(true)).once("error", () => settle(false)));
    if (there) return socket;
    await sleep(2);
  }
}

/** The monitor's own protocol, as far as saving and resuming need it. */
class Monitor {
  readonly #socket: Socket;
  #text = "";
  readonly #said: Record<string, unknown>[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => {
      this.#text += bytes.toString();
      const lines = this.#text.split("\n");
      this.#text = lines.pop() ?? "";
      this.#said.push(...lines.filter((line) => line.trim() !== "").map((line) => JSON.parse(line) as Record<string, unknown>));
    });
  }

  static async open(path: string): Promise<Monitor> {
    const monitor = new Monitor(await connected(path));
    await monitor.ask("qmp_capabilities");
    return monitor;
  }

  async ask(execute: string, fields: object = {}): Promise<unknown> {
    const id = `${execute}-${Math.random()}`;
    this.#socket.write(`${JSON.stringify({ execute, arguments: fields, id })}\n`);
    const answer = await this.#until((message) => message["id"] === id);
    if (answer["error"] !== undefined) throw new Error(`${execute}: ${JSON.stringify(answer["error"])}`);
    return answer["return"];
  }

  async untilMigrated(): Promise<void> {
    for (;;) {
      const { status } = (await this.ask("query-migrate")) as { status?: string };
      if (status === "completed") return;
      if (status === "failed") throw new Error("the monitor could not save or load the machine");
      await sleep(1);
    }
  }

  async #until(match: (message: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.#said.find(match);
      if (found !== undefined) return found;
      await sleep(1);
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

function makeImage(directory: string): string {
  const root = join(directory, "root");
  mkdirSync(join(root, "bin"), { recursive: true });
  copyFileSync("/bin/busybox", join(root, "bin/busybox"));
  for (const applet of ["sh", "echo", "cat", "hostname", "head", "od"]) symlinkSync("busybox", join(root, "bin", applet));
  execFileSync("mkfs.erofs", ["--quiet", join(directory, "root.erofs"), root], { stdio: "ignore" });
  return join(directory, "root.erofs");
}

test.runIf(usable)("two different workloads start from one saved machine whose agent waits", async () => {
  if (kernel === undefined) return;
  const directory = mkdtempSync("/tmp/microvm-template-");
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const root = makeImage(directory);
  const [ram, state] = [join(directory, "ram"), join(directory, "state")];
  const shared = { kernel, root, memory: "128M" };
  const backed = (share: "on" | "off") => (own: string) => [
    "-machine",
    "memory-backend=m0",
    "-object",
    `memory-backend-file,id=m0,size=${RAM_BYTES},mem-path=${ram},share=${share}`,
    "-qmp",
    `unix:${own}/qmp,server=on,wait=off`,
  ];
  const ignoreShared = { capabilities: [{ capability: "x-ignore-shared", state: true }] };

  const template = await AgentMachine.boot({ ...shared, more: backed("on") });
  onTestFinished(() => template.end());
  const monitor = await Monitor.open(join(template.directory, "qmp"));
  await monitor.ask("stop");
  await monitor.ask("migrate-set-capabilities", ignoreShared);
  await monitor.ask("migrate", { uri: `exec:cat>${state}` });
  await monitor.untilMigrated();
  monitor.close();
  await template.end();
  expect(statSync(state).size).toBeLessThan(1024 * 1024);

  const clone = async (hostname: string, memoryBytes: number) => {
    const machine = await AgentMachine.boot({
      ...shared,
      more: (own) => [...backed("off")(own), "-S", "-incoming", "defer"],
      resume: async ({ directory: own }) => {
        const control = await Monitor.open(join(own, "qmp"));
        await control.ask("migrate-set-capabilities", ignoreShared);
        await control.ask("migrate-incoming", { uri: `exec:cat ${state}` });
        await control.untilMigrated();
        await control.ask("cont");
        control.close();
      },
    });
    onTestFinished(() => machine.end());
    await machine.configure({ layers: [{ offsetBytes: 0, lengthBytes: statSync(root).size }], hostname, limits: { memoryBytes } });
    const said = await machine.run(0, [
      "sh",
      "-c",
      `hostname; cat /sys/fs/cgroup/memory.max; echo ${hostname} > /mine; cat /mine; head -c 16 /dev/urandom | od -An -tx1`,
    ]);
    return said.stdout.trim().split("\n");
  };
  const [one, two] = await Promise.all([clone("one", 32 << 20), clone("two", 48 << 20)]);
  expect(one.slice(0, 3)).toEqual(["one", String(32 << 20), "one"]);
  expect(two.slice(0, 3)).toEqual(["two", String(48 << 20), "two"]);
  expect(one[3]).not.toBe(two[3]); // entropy is each clone's own
  writeFileSync(join(directory, "done"), "");
});
