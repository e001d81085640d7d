/**
 * What daemons do before they are killed, and what the next daemon must find. `reached` tells the test what had been answered by then:
 * whatever was answered holds; what was under way is wholly there or wholly gone.
 */

import { plainCall } from "../../../src/contract/call.ts";
import type { Engine, WorkloadRequest, WorkloadView } from "../../../src/engine/index.ts";
import { makeRequest } from "../../../src/engine/testkit/world.ts";
import { expectEqual, expectOneOf, poll, readLog } from "./findings.ts";

export interface Aftermath {
  readonly engine: Engine;
  /** The last thing that was answered before the death. */
  readonly last: string | undefined;
  readonly view: WorkloadView | undefined;
}

export interface Story {
  readonly play: (engine: Engine, reached: (what: string) => void) => Promise<void>;
  /** Whether a signal that was under way may still end it in the next life. */
  readonly mayBeEnding?: (last: string | undefined) => boolean;
  /** Rejects with a sentence for what does not hold in the next life. */
  readonly expectAfter: (aftermath: Aftermath) => Promise<void>;
}

const call = plainCall();
const ALL = { stdin: false, stdout: true, stderr: true };
const TICKS = 12;

/** Every one has an address, a port and a volume of its own: they must go and stay with it. */
const request = (changes: Partial<WorkloadRequest>) =>
  makeRequest({
    name: "one",
    image: "busybox",
    network: "bridge",
    ports: [{ protocol: "tcp", hostAddress: "127.0.0.1", hostPort: 0, workloadPort: 80 }],
    mounts: [{ kind: "volume", name: "", target: "/data", readOnly: false, copyUp: false }],
    stopTimeoutSeconds: 0,
    ...changes,
  });
const SLEEPING = ["sh", "-c", "echo up; exec sleep 1000"];
const TICKING = ["sh", "-c", `i=1; while [ $i -le ${TICKS} ]; do echo tick $i; sleep 0.02; i=$((i+1)); done; exit 7`];
const TICKED = Array.from({ length: TICKS }, (_, index) => `tick ${index + 1}`);

const states: Readonly<Record<string, readonly string[]>> = {
  // A start may have been under way, a stop after it, a second start after that.
  created: ["created", "running"],
  started: ["running", "exited"],
  stopped: ["exited", "running"],
  "started again": ["running"],
};
/** How often its command has said that it is up: once for each start, whoever saw it. */
const starts = (last: string, state: string) =>
  ({ created: state === "created" ? 0 : 1, started: 1, stopped: state === "exited" ? 1 : 2, "started again": 2 })[last] ?? 0;

export const STORIES: Readonly<Record<string, Story>> = {
  "create, start, stop, start": {
    play: async (engine, reached) => {
      const { id } = await engine.create(request({ command: SLEEPING }), call);
      reached("created");
      await engine.start(id, call);
      reached("started");
      // A stop is fast enough to end it before its first word.
      await poll("its log", () => readLog(engine, id), ["up"]);
      await engine.stop(id, {}, call);
      reached("stopped");
      await engine.start(id, call);
      reached("started again");
    },
    mayBeEnding: (last) => last === "started",
    expectAfter: async ({ engine, last, view }) => {
      if (last === undefined && view === undefined) return;
      const { id, state, exit } = expectThere(view);
      // Killed between the store's write and the answer, it stands as if it had been answered.
      expectOneOf("its state", state, last === undefined ? ["created"] : (states[last] ?? []));
      if (state === "exited") expectEqual("the exit code of what was stopped", exit?.code, 137);
      const ups = Array.from({ length: starts(last ?? "created", state) }, () => "up");
      await poll("its log", () => readLog(engine, id), ups);
    },
  },
  "run, removing itself": {
    play: async (engine, reached) => {
      const { id } = await engine.create(request({ command: ["sh", "-c", "echo hi; exit 3"], autoRemove: true }), call);
      const attachment = await engine.attach(id, ALL, call);
      const removed = engine.wait(id, "removed", call);
      await engine.start(id, call);
      const said: Uint8Array[] = [];
      for await (const { bytes } of attachment.output) said.push(bytes);
      expectEqual("what it said", Buffer.concat(said).toString(), "hi\n");
      expectEqual("its exit code", (await removed).status.code, 3);
      reached("removed");
    },
    // Whatever it had come to: nobody else will ever remove it.
    expectAfter: async ({ engine }) => poll("the list", async () => engine.list().map(({ state }) => state), []),
  },
  "exec and remove by force": {
    play: async (engine, reached) => {
      const { id } = await engine.create(request({ command: SLEEPING }), call);
      reached("created");
      await engine.start(id, call);
      reached("started");
      await expectExec(engine, id);
      reached("executed");
      await engine.remove(id, { force: true, volumes: true }, call);
      reached("removed");
    },
    mayBeEnding: (last) => last === "executed",
    expectAfter: async ({ last, view }) => {
      if (last === "removed") return expectEqual("what was removed", view?.state, undefined);
      if (view === undefined) return expectOneOf("what had been answered of a workload that is gone", last, [undefined, "executed"]);
      expectOneOf("its state", view.state, last === undefined || last === "created" ? ["created", "running"] : ["running"]);
      if (last === undefined) expectEqual("its state", view.state, "created");
    },
  },
  "a workload that logs and ends with 7": {
    play: async (engine, reached) => {
      const { id } = await engine.create(request({ command: TICKING }), call);
      reached("created");
      await engine.start(id, call);
      reached("started");
      expectEqual("its exit code", (await engine.wait(id, "not-running", call)).status.code, 7);
      reached("ended");
    },
    expectAfter: async ({ engine, last, view }) => {
      if (last === undefined && view === undefined) return;
      const { id, state, startedAt } = expectThere(view);
      if (state === "created") {
        expectOneOf("what had been answered of a workload that never started", last, [undefined, "created"]);
        expectEqual("when it started", startedAt, undefined);
        return expectEqual("the log of what never ran", await readLog(engine, id), []);
      }
      if (last === "ended") expectEqual("its state", state, "exited");
      expectEqual("its exit code", (await engine.wait(id, "not-running", call)).status.code, 7);
      expectEqual("its log", await readLog(engine, id), TICKED);
      expectEqual("its recorded exit code", engine.inspect(id).exit?.code, 7);
    },
  },
};

/** What is there can be lived with: started, entered, stopped. What is gone leaves its name free. */
export async function expectAlive(engine: Engine, mayBeEnding: boolean): Promise<void> {
  const known = engine.list()[0];
  const { id } = known ?? (await engine.create(request({ command: SLEEPING }), call));
  const isSleeper = known === undefined || known.process.command[2] === SLEEPING[2];
  if (engine.inspect(id).state !== "running") await engine.start(id, call);
  if (!isSleeper) return expectEqual("its next exit code", (await engine.wait(id, "not-running", call)).status.code, 7);
  await expectExec(engine, id).catch(async (thrown: unknown) => {
    if (!mayBeEnding) throw thrown;
    // The signal of the life before has arrived: it ended as by that stop, and is started again.
    expectEqual("the exit code of what was being stopped", (await engine.wait(id, "not-running", call)).status.code, 137);
    await engine.start(id, call);
    await expectExec(engine, id);
  });
  await engine.stop(id, {}, call);
  expectEqual("its exit code once stopped", engine.inspect(id).exit?.code, 137);
}

async function expectExec(engine: Engine, id: string): Promise<void> {
  const command = ["sh", "-c", "echo inside >/data/word; cat /data/word; exit 5"];
  const exec = await engine.createExec(id, { command, environment: [], terminal: false, attach: ALL, privileged: false }, call);
  const attachment = await engine.startExec(exec.id, { detach: false }, call);
  const said: Uint8Array[] = [];
  for await (const { bytes } of attachment?.output ?? []) said.push(bytes);
  expectEqual("what an exec said", Buffer.concat(said).toString(), "inside\n");
  expectEqual("an exec's exit code", engine.inspectExec(exec.id).exit?.code, 5);
}

function expectThere(view: WorkloadView | undefined): WorkloadView {
  if (view === undefined) throw new Error("the workload is gone");
  return view;
}
