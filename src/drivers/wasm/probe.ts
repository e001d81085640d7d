/** Finds out whether wasm runs here by compiling the smallest command and running it to its end. */

import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Call } from "../../contract/call.ts";
import type { BoundaryDriver, Finding, ProbeReport } from "../../contract/driver.ts";
import { Failure, toFailure } from "../../contract/failure.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { createTrialSpec } from "../../host/trial-spec.ts";
import { ensureDirectory } from "../../host/workload-files.ts";
import { WASM_FACETS, WASM_TRAIT_NAMES } from "./traits.ts";

export interface UsableEngine {
  readonly version: string;
  /** Names what compiled modules are good for: this engine, so configured, on this processor. */
  readonly key: string;
}

export interface Probed {
  readonly report: ProbeReport;
  readonly engine: UsableEngine | undefined;
}

export interface ProbeContext {
  readonly launcher: Launcher;
  readonly root: string;
  readonly driver: BoundaryDriver;
  /** The engine that the trial itself shall use. */
  adopt(engine: UsableEngine): void;
}

const BUILD = "sh scripts/wasm-runner.sh && npm run build";

/** `(module (func (export "_start")))` */
const LEAST_COMMAND = Buffer.from("0061736d0100000001040160000003020100070a01065f737461727400000a040102000b", "hex");

const NOTHING: ProcessSpec = {
  command: ["least"],
  environment: [],
  workingDirectory: "/",
  user: "",
  additionalGroups: [],
  terminal: false,
  stdin: false,
  stdinOnce: false,
};

export async function probeWasm(context: ProbeContext, call: Call): Promise<Probed> {
  try {
    const engine = await askVersion(context.launcher);
    context.adopt(engine);
    const tookMs = await tryLeast(context, call);
    const what = `wasmtime ${engine.version} compiled and ran a module in ${tookMs} ms`;
    const identity = { kind: "wasm", engine: "wasmtime", version: engine.version, emulated: false, traits: WASM_TRAIT_NAMES } as const;
    return { engine, report: { kind: "wasm", usable: true, identity, findings: [{ id: "wasm-runs", level: "ok", what }], facets: WASM_FACETS } };
  } catch (thrown) {
    const failure = toFailure(thrown);
    const built = failure.code !== "NOT_FOUND";
    const finding: Finding = {
      id: built ? "wasm-runs" : "wasm-runner-there",
      level: "missing",
      what: built ? `A wasm module does not run here: ${failure.message}` : "The wasm runner is not built",
      remedy: built ? (failure.remedy ?? "See the launcher's log") : BUILD,
    };
    return { engine: undefined, report: { kind: "wasm", usable: false, findings: [finding], facets: [] } };
  }
}

async function askVersion(launcher: Launcher): Promise<UsableEngine> {
  const { stdout, stderr } = await launcher.request("run", { program: "bulkhead-wasm", arguments: ["version"], deadlineMs: 20_000 });
  const said = parseJson(stdout);
  const { version, key, failure } = said;
  if (typeof version === "string" && typeof key === "string" && /^[a-z0-9.-]{1,64}$/.test(key)) return { version, key };
  throw new Failure("UNAVAILABLE", `The wasm runner does not start: ${typeof failure === "string" ? failure : stderr.slice(0, 300)}`, { boundary: "wasm" });
}

function parseJson(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** A whole life in small, in a domain of the probe's own. */
async function tryLeast({ root, driver }: ProbeContext, call: Call): Promise<number> {
  const workload = randomBytes(32).toString("hex");
  const directory = join(root, "probe", workload);
  const file = join(root, "probe/least.wasm");
  ensureDirectory(join(root, "probe"), 0o711);
  writeFileSync(file, LEAST_COMMAND);
  const began = performance.now();
  try {
    const spec = { ...createTrialSpec({ workload, root: { form: "module", layers: [], file } }), domain: "probe" };
    const sandbox = await driver.launch(await driver.prepare(spec, directory, call), NOTHING, call);
    await sandbox.start(call);
    const reason = await sandbox.ended;
    if (reason.status.code !== 0) throw new Failure("UNAVAILABLE", `The trial ended with exit code ${reason.status.code}`, { boundary: "wasm" });
    return Math.round(performance.now() - began);
  } finally {
    await driver.remove({ kind: "wasm", workload, directory }, call).catch(() => undefined);
  }
}
