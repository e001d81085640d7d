/** A daemon that kills itself at the n-th point of its work: every write of state and every step of the driver, before, within and after. */

import { writeSync } from "node:fs";
import type { BoundaryDriver } from "../../../src/contract/driver.ts";
import type { Process } from "../../../src/contract/process.ts";
import type { Sandbox } from "../../../src/contract/sandbox.ts";
import type { StateStore } from "../../../src/state/index.ts";

export class Knife {
  private readonly at: number;
  private readonly withinMs: readonly number[];
  private count = 0;

  /** `at` 0 never cuts: the points are only counted. `withinMs`: how long after a step has begun the daemon dies within it. */
  constructor(at: number, withinMs: readonly number[]) {
    this.at = at;
    this.withinMs = withinMs;
  }

  get points(): number {
    return this.count;
  }

  /** One more point of the table. */
  point(name: string): void {
    if (++this.count === this.at) this.cut(name);
  }

  within(name: string): void {
    for (const ms of this.withinMs) {
      if (++this.count === this.at) setTimeout(() => this.cut(`${name} +${ms} ms`), ms);
    }
  }

  private cut(name: string): never {
    writeSync(1, `cut ${name}\n`);
    process.kill(process.pid, "SIGKILL");
    // The signal is on its way; nothing more may happen here.
    for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  }
}

export function cuttingStore(store: StateStore, knife: Knife): StateStore {
  const around = (name: string, write: () => void) => {
    knife.point(`before ${name}`);
    write();
    knife.point(`after ${name}`);
  };
  return {
    collection: (name) => {
      const rows = store.collection(name);
      return {
        get: (key) => rows.get(key) as never,
        put: (key, document, options) => around(`put ${name}`, () => rows.put(key, document, options)),
        delete: (key) => around(`delete ${name}`, () => rows.delete(key)),
        all: () => rows.all() as never,
      };
    },
    transaction: (work) => store.transaction(work),
    close: () => store.close(),
  };
}

export function cuttingDriver(driver: BoundaryDriver, knife: Knife): BoundaryDriver {
  const step = async <T>(name: string, effect: () => Promise<T>): Promise<T> => {
    knife.point(`before ${name}`);
    knife.within(name);
    const result = await effect();
    knife.point(`after ${name}`);
    return result;
  };
  const cutProcess = (process: Process): Process => ({
    number: process.number,
    hostPid: process.hostPid,
    exited: process.exited,
    attach: (options, call) => step("attach", () => process.attach(options, call)),
    signal: (name, call) => step("signal", () => process.signal(name, call)),
    resizeTerminal: (size, call) => process.resizeTerminal(size, call),
  });
  const cutSandbox = (sandbox: Sandbox): Sandbox => {
    const { exec, pause } = sandbox;
    return {
      ...sandbox,
      identity: sandbox.identity,
      main: cutProcess(sandbox.main),
      ended: sandbox.ended,
      start: (call) => step("start", () => sandbox.start(call)),
      end: (call) => step("end", () => sandbox.end(call)),
      stats: (call) => sandbox.stats(call),
      ...(exec === undefined
        ? {}
        : { exec: { run: (process, attach, call) => step("exec", () => exec.run(process, attach, call)), find: (number) => exec.find(number) } }),
      ...(pause === undefined
        ? {}
        : { pause: { pause: (call) => step("pause", () => pause.pause(call)), resume: (call) => step("resume", () => pause.resume(call)) } }),
    };
  };
  return {
    kind: driver.kind,
    traits: driver.traits,
    probe: (call) => driver.probe(call),
    prepare: (spec, directory, call) => step("prepare", () => driver.prepare(spec, directory, call)),
    launch: async (bundle, main, call) => cutSandbox(await step("launch", () => driver.launch(bundle, main, call))),
    adopt: (bundle, call) => driver.adopt(bundle, call),
    remove: (place, call) => step("remove", () => driver.remove(place, call)),
  };
}
