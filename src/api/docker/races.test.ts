/** Two requests about one workload at the same moment: whatever comes first, both are answered as Docker answers, never with a fault of ours. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FakeStep } from "../../contract/testkit/fake-host.ts";
import { Failure } from "../../contract/failure.ts";
import { startFakeDaemon, type FakeDaemon } from "../testkit/fake-daemon.ts";
import { ask, textOf } from "../testkit/raw-client.ts";

let daemon: FakeDaemon;
beforeAll(async () => {
  daemon = await startFakeDaemon();
});
afterAll(() => daemon.close());

const post = async (path: string, body?: object) => (await ask(daemon.socket, "POST", path, body === undefined ? {} : { body })).status;
const get = async (path: string) => (await ask(daemon.socket, "GET", path)).status;

async function exec(id: string): Promise<number> {
  const { status, json } = await ask(daemon.socket, "POST", `/containers/${id}/exec`, { body: { Cmd: ["true"], AttachStdout: true } });
  return status === 201 ? await post(`/exec/${textOf(json.Id)}/start`, { Detach: true }) : status;
}

/** What a request does, and the step of the boundary at which it can be held up. */
const DEEDS: Readonly<Record<string, { readonly step: FakeStep; readonly ask: (id: string) => Promise<number> }>> = {
  exec: { step: "exec", ask: exec },
  pause: { step: "pause", ask: (id) => post(`/containers/${id}/pause`) },
  unpause: { step: "resume", ask: (id) => post(`/containers/${id}/unpause`) },
  top: { step: "top", ask: (id) => get(`/containers/${id}/top`) },
  stats: { step: "stats", ask: (id) => get(`/containers/${id}/stats?stream=0&one-shot=1`) },
  update: { step: "update", ask: (id) => post(`/containers/${id}/update`, { CpuShares: 512 }) },
  resize: { step: "signal", ask: (id) => post(`/containers/${id}/resize?h=3&w=5`) },
  kill: { step: "signal", ask: (id) => post(`/containers/${id}/kill`) },
  stop: { step: "signal", ask: (id) => post(`/containers/${id}/stop?t=0`) },
  restart: { step: "signal", ask: (id) => post(`/containers/${id}/restart?t=0`) },
  start: { step: "start", ask: (id) => post(`/containers/${id}/start`) },
  remove: { step: "remove", ask: async (id) => (await ask(daemon.socket, "DELETE", `/containers/${id}`)).status },
  "remove by force": { step: "end", ask: async (id) => (await ask(daemon.socket, "DELETE", `/containers/${id}?force=1`)).status },
};

/** Long enough for whatever does not wait for the one that is held up. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 40; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** As a supervisor that went away with its workload looks to whoever had asked it something. */
function lostWith(standing: ReadonlyMap<string, unknown>, count: number): Failure | undefined {
  return standing.size < count ? new Failure("CONNECTION_LOST", "The supervisor went away before it answered") : undefined;
}

describe.each(["running", "paused", "created"])("a workload that is %s", (state) => {
  it.each(Object.keys(DEEDS))("answers %s and every other request while that is under way, and none with a fault", async (held) => {
    for (const [other, { ask: second }] of Object.entries(DEEDS)) {
      const made = await ask(daemon.socket, "POST", "/containers/create", { body: { Image: "busybox", Cmd: ["sleep", "1000"] } });
      const id = textOf(made.json.Id);
      if (state !== "created") expect(await post(`/containers/${id}/start`)).toBe(204);
      if (state === "paused") expect(await post(`/containers/${id}/pause`)).toBe(204);
      const gate = Promise.withResolvers<void>();
      const { host } = daemon;
      const { step, ask: first } = DEEDS[held] as (typeof DEEDS)[string];
      const count = host.standing.size;
      host.expect(step, { act: "wait", open: gate.promise, failure: () => (step === "remove" || step === "end" ? undefined : lostWith(host.standing, count)) });
      const answers = [first(id)];
      await turns();
      answers.push(second(id));
      await turns();
      gate.resolve();
      for (const status of await Promise.all(answers)) expect([200, 201, 204, 304, 404, 409], `${held} and ${other}: ${status}`).toContain(status);
      host.forgetFaults();
      await ask(daemon.socket, "DELETE", `/containers/${id}?force=1`);
    }
    expect(daemon.host.snapshot()).toEqual({ standing: [], places: [] });
  });
});
