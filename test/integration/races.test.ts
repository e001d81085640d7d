/** Many clients at one workload at once, on the container boundary: answers as Docker's, never a fault of ours, and nothing left. */

import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TestDaemon } from "../harness/daemon.ts";
import type { HostTraces } from "../harness/host-traces.ts";
import { readBaseline } from "./chaos/inhabitants.ts";

let daemon: TestDaemon;
let before: HostTraces;
const agent = new Agent({ keepAlive: true });
beforeAll(async () => {
  daemon = await TestDaemon.open();
  before = await readBaseline(daemon);
});
afterAll(async () => {
  agent.destroy();
  await daemon.close();
});

interface Answer {
  readonly status: number;
  readonly text: string;
}

function ask(method: string, path: string, body?: object): Promise<Answer> {
  return new Promise((settle, reject) => {
    const asked = request({ socketPath: daemon.socket, method, path, agent, headers: { "Content-Type": "application/json" } }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => settle({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString("utf8") }));
    });
    asked.on("error", reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const idOf = ({ text }: Answer): string => (JSON.parse(text) as { Id: string }).Id;

async function exec(id: string): Promise<Answer> {
  const made = await ask("POST", `/containers/${id}/exec`, { Cmd: ["true"], AttachStdout: true });
  return made.status === 201 ? ask("POST", `/exec/${idOf(made)}/start`, { Detach: true }) : made;
}

const DEEDS: Readonly<Record<string, (id: string) => Promise<Answer>>> = {
  exec,
  kill: (id) => ask("POST", `/containers/${id}/kill`),
  pause: (id) => ask("POST", `/containers/${id}/pause`),
  unpause: (id) => ask("POST", `/containers/${id}/unpause`),
  top: (id) => ask("GET", `/containers/${id}/top`),
  stats: (id) => ask("GET", `/containers/${id}/stats?stream=0&one-shot=1`),
  stop: (id) => ask("POST", `/containers/${id}/stop?t=0`),
  start: (id) => ask("POST", `/containers/${id}/start`),
  restart: (id) => ask("POST", `/containers/${id}/restart?t=0`),
  resize: (id) => ask("POST", `/containers/${id}/resize?h=3&w=5`),
  update: (id) => ask("POST", `/containers/${id}/update`, { Memory: 64 << 20, MemorySwap: 128 << 20 }),
  remove: (id) => ask("DELETE", `/containers/${id}`),
  "remove by force": (id) => ask("DELETE", `/containers/${id}?force=1`),
};

/** The same order in every run; what the host makes of it is its own. */
function makeDice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >>> 8) % sides;
  };
}

it("answers fourteen requests at once about one workload, forty times, with what Docker would answer", async () => {
  const dice = makeDice(7);
  const names = Object.keys(DEEDS);
  const strange: string[] = [];
  for (let round = 0; round < 40; round++) {
    const id = idOf(await ask("POST", "/containers/create", { Image: "busybox", Cmd: ["sleep", "100"], Tty: round % 2 === 0 }));
    if (round % 5 !== 0) await ask("POST", `/containers/${id}/start`);
    const wishes = Array.from({ length: 14 }, () => ({ name: names[dice(names.length)] as string, after: dice(40) }));
    await Promise.all(
      wishes.map(async ({ name, after }) => {
        await sleep(after);
        const { status, text } = await (DEEDS[name] as (id: string) => Promise<Answer>)(id);
        if (![200, 204, 304, 404, 409].includes(status)) strange.push(`${name}: ${status} ${text}`);
      }),
    );
    await ask("DELETE", `/containers/${id}?force=1`);
  }
  expect(strange).toEqual([]);
  expect(await daemon.settledTraces(before), "nothing is left").toEqual(before);
}, 120_000);

it("carries out three hundred execs at once, each with its own output and exit", async () => {
  const id = idOf(await ask("POST", "/containers/create", { Image: "busybox", Cmd: ["sleep", "100"] }));
  await ask("POST", `/containers/${id}/start`);
  const results = await Promise.all(
    Array.from({ length: 300 }, async (_, at) => {
      const terminal = at % 3 === 0;
      const made = await ask("POST", `/containers/${id}/exec`, { Cmd: ["sh", "-c", `echo n${at}; exit ${at % 100}`], AttachStdout: true, Tty: terminal });
      const { status, text } = await ask("POST", `/exec/${idOf(made)}/start`, { Tty: terminal });
      const seen = JSON.parse((await ask("GET", `/exec/${idOf(made)}/json`)).text) as { Running: boolean; ExitCode: number };
      return status === 200 && text.includes(`n${at}`) && !seen.Running && seen.ExitCode === at % 100
        ? "right"
        : `${at}: ${status} ${text} ${JSON.stringify(seen)}`;
    }),
  );
  expect(results.filter((result) => result !== "right")).toEqual([]);
  await ask("DELETE", `/containers/${id}?force=1`);
  expect(await daemon.settledTraces(before), "nothing is left").toEqual(before);
}, 120_000);
