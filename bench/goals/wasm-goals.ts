/**
 * Goals of the wasm boundary, measured beneath the API: launcher, runner and supervisor's socket as a driver uses them, on a root of their own.
 * Held instances are let go and give their first byte; modules that no runner has loaded are launched and let go; then thousands at once.
 */

import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plainCall } from "../../src/contract/call.ts";
import type { LaunchPlan } from "../../src/contract/launch-plan.ts";
import type { Sandbox } from "../../src/contract/sandbox.ts";
import { LauncherClient } from "../../src/host/launcher-client.ts";
import { startLauncher } from "../../src/host/launcher-start.ts";
import { raise } from "../../src/host/raise.ts";
import { connectSandbox } from "../../src/host/supervised-sandbox.ts";
import { median } from "../statistics.ts";
import { now } from "../subject.ts";
import { assembleGreeting } from "../wasm-module.ts";
import type { GoalResult } from "./goal.ts";

export interface WasmGoalOptions {
  /** Candidates for the launcher, with the runner beside it. */
  readonly launchers: readonly string[];
  readonly rounds: number;
  readonly instances: number;
  readonly signal: AbortSignal;
}

const MB = 1e6;
const UID = 0x6f00_0001;

export async function measureWasm(options: WasmGoalOptions): Promise<GoalResult[]> {
  const ground = await openGround(options.launchers);
  try {
    const first = await ground.compile("first");
    await (await ground.launch(first)).end(plainCall()); // the runner is there from now on
    const warm: number[] = [];
    const cold: number[] = [];
    for (let round = 0; round < options.rounds; round++) {
      options.signal.throwIfAborted();
      const held = await ground.launch(first);
      warm.push(await firstByte(held, now()));
      await held.end(plainCall());
      const fresh = await ground.compile(`round ${round}`);
      const began = now();
      const launched = await ground.launch(fresh);
      cold.push(await firstByte(launched, began));
      await launched.end(plainCall());
    }
    const { bytes, standing } = await ground.crowd(first, options);
    return [
      {
        ...{ id: "wasm-warm", text: "wasm: from start to first byte of a held instance, runner warm", unit: "ms", limit: 1, from: "fixed" },
        ...{ measured: median(warm), n: warm.length, samples: { warm } },
      },
      {
        ...{ id: "wasm-cold", text: "wasm: from launch to first byte, of a compiled file that no runner has loaded", unit: "ms", limit: 5, from: "fixed" },
        ...{ measured: median(cold), n: cold.length, samples: { cold } },
      },
      {
        ...{ id: "wasm-memory", text: `wasm: private memory of each of ${standing} instances at once`, unit: "MB", limit: 1, from: "fixed" },
        ...{ measured: bytes / MB, n: standing, samples: {} },
      },
    ];
  } finally {
    await ground.close();
  }
}

async function firstByte(sandbox: Sandbox, began: number): Promise<number> {
  const call = plainCall();
  const attachment = await sandbox.main.attach({ stdin: false, stdout: true, stderr: false }, call);
  const from = Math.max(began, 0);
  const starting = sandbox.start(call);
  for await (const { bytes } of attachment.output) if (bytes.length > 0) break;
  const took = (now() - from) * 1000;
  await starting;
  attachment.close();
  return took;
}

async function openGround(launchers: readonly string[]) {
  const root = mkdtempSync(join(tmpdir(), "bulkhead-wasm-goals-"));
  const run = join(root, "run");
  mkdirSync(join(run, "s"), { recursive: true });
  const socket = join(run, "launcher.sock");
  const log = plainCall().log;
  const start = () => startLauncher({ root, run, socket, log: join(root, "log/launcher.log"), programs: launchers });
  const launcher = new LauncherClient({ socket, log, start });
  await launcher.hello();
  const modules = join(root, "modules");
  mkdirSync(modules);

  const compile = async (line: string): Promise<string> => {
    const name = randomBytes(8).toString("hex");
    const file = join(modules, `${name}.cwasm`);
    writeFileSync(join(modules, `${name}.wasm`), assembleGreeting(`${line}\n`));
    await launcher.request("compileModule", { module: join(modules, `${name}.wasm`), file });
    return file;
  };

  const launch = async (module: string): Promise<Sandbox> => {
    const workload = randomBytes(32).toString("hex");
    const directory = join(root, "workloads", workload);
    mkdirSync(directory, { recursive: true });
    const plan = planOf({ workload, directory, socket: join(run, "s", `${workload.slice(0, 32)}.sock`), module });
    await raise(launcher, plan, plainCall());
    return connectSandbox({
      ...{ workload, socket: plan.socket, exitRecord: plan.exitRecord, terminal: false, mainPid: undefined, log },
      identity: { kind: "wasm", engine: "wasmtime", version: "", emulated: false, traits: [] },
      facets: { pause: false, resize: false, top: false, files: false },
      clear: async () => {},
    });
  };

  /** Raises them one after another, each waiting for input; what the runner takes beyond what it took before, for each. */
  const crowd = async (module: string, { instances, signal }: WasmGoalOptions) => {
    const before = privateBytes(run);
    const standing: Sandbox[] = [];
    while (standing.length < instances) {
      signal.throwIfAborted();
      const sandbox = await launch(module);
      await sandbox.start(plainCall());
      standing.push(sandbox);
    }
    return { bytes: (privateBytes(run) - before) / standing.length, standing: standing.length };
  };

  const close = async () => {
    await launcher.request("teardown", {}).catch(() => undefined);
    launcher.close();
    rmSync(root, { recursive: true, force: true });
  };
  return { compile, launch, crowd, close };
}

/** Dirty and clean pages of the runner that nobody shares. */
function privateBytes(run: string): number {
  const notes = readdirSync(join(run, "supervisors")).filter((name) => name.startsWith("wasm-") && name.endsWith(".json"));
  const pids = notes.map((name) => (JSON.parse(readFileSync(join(run, "supervisors", name), "utf8")) as { pid: number }).pid);
  const sizes = pids.flatMap((pid) => [...readFileSync(`/proc/${pid}/smaps_rollup`, "utf8").matchAll(/^Private_\w+:\s+(\d+) kB$/gm)]);
  return sizes.reduce((sum, [, kilobytes]) => sum + Number(kilobytes) * 1024, 0);
}

function planOf(place: { readonly workload: string; readonly directory: string; readonly socket: string; readonly module: string }): LaunchPlan {
  const { workload, directory, socket, module } = place;
  return {
    ...{ version: 1, workload, directory, socket, exitRecord: join(directory, "exit.json"), log: { kind: "none" } },
    ...{ limits: {}, devices: [], allDevices: false, network: { kind: "none" }, main: { terminal: false, stdin: true, stdinOnce: false } },
    engine: {
      ...{ kind: "wasm", domain: "goals", uid: UID, gid: UID, module },
      ...{ arguments: ["greeting"], environment: [], workingDirectory: "/", mounts: [], cpuSeconds: 0 },
    },
  };
}
