/** What daemons do before they are killed. `reached` tells the test what had been answered by then. */

import { plainCall } from "../../../src/contract/call.ts";
import type { Engine, WorkloadRequest } from "../../../src/engine/index.ts";
import { makeRequest } from "../../../src/engine/testkit/world.ts";

export type Story = (engine: Engine, reached: (what: string) => void) => Promise<void>;

const call = plainCall();
const ALL = { stdin: false, stdout: true, stderr: true };
export const TICKS = 12;

const request = (changes: Partial<WorkloadRequest>) => makeRequest({ image: "busybox", network: "none", stopTimeoutSeconds: 0, ...changes });
const ticking = ["sh", "-c", `i=1; while [ $i -le ${TICKS} ]; do echo tick $i; sleep 0.02; i=$((i+1)); done; exit 7`];

export const STORIES: Readonly<Record<string, Story>> = {
  "create, start, stop, start": async (engine, reached) => {
    const { id } = await engine.create(request({ name: "one", command: ["sleep", "1000"] }), call);
    reached("created");
    await engine.start(id, call);
    reached("started");
    await engine.stop(id, {}, call);
    reached("stopped");
    await engine.start(id, call);
    reached("started");
  },
  "run, removing itself": async (engine, reached) => {
    const { id } = await engine.create(request({ name: "one", command: ["echo", "hi"], autoRemove: true }), call);
    const attachment = await engine.attach(id, ALL, call);
    const removed = engine.wait(id, "removed", call);
    await engine.start(id, call);
    for await (const _chunk of attachment.output);
    await removed;
    reached("removed");
  },
  "exec and remove by force": async (engine, reached) => {
    const { id } = await engine.create(request({ name: "one", command: ["sleep", "1000"] }), call);
    reached("created");
    await engine.start(id, call);
    reached("started");
    const exec = await engine.createExec(id, { command: ["echo", "inside"], environment: [], terminal: false, attach: ALL, privileged: false }, call);
    const attachment = await engine.startExec(exec.id, { detach: false }, call);
    for await (const _chunk of attachment?.output ?? []);
    reached("executed");
    await engine.remove(id, { force: true, volumes: false }, call);
    reached("removed");
  },
  "a workload that logs and ends with 7": async (engine, reached) => {
    const { id } = await engine.create(request({ name: "one", command: ticking }), call);
    reached("created");
    await engine.start(id, call);
    reached("started");
    await engine.wait(id, "not-running", call);
    reached("ended");
  },
};
