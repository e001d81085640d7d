/** Finds out whether the runner is there and its engine works, by compiling the smallest command. */

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Finding, ProbeReport } from "../../contract/driver.ts";
import { Failure, toFailure } from "../../contract/failure.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { checkoutCommand } from "../../host/program-home.ts";
import { ensureDirectory, removeFile, writeBytes } from "../../host/workload-files.ts";
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
}

/** `(module (func (export "_start")))` */
const LEAST_COMMAND = Buffer.from("0061736d0100000001040160000003020100070a01065f737461727400000a040102000b", "hex");

export async function probeWasm(context: ProbeContext): Promise<Probed> {
  try {
    const engine = await askVersion(context.launcher);
    const tookMs = await tryLeast(context);
    const what = `wasmtime ${engine.version} compiled a module, confined, in ${tookMs} ms`;
    const identity = { kind: "wasm", engine: "wasmtime", version: engine.version, emulated: false, traits: WASM_TRAIT_NAMES } as const;
    return { engine, report: { kind: "wasm", usable: true, identity, findings: [{ id: "wasm-compiles", level: "ok", what }], facets: WASM_FACETS } };
  } catch (thrown) {
    const failure = toFailure(thrown);
    const built = failure.code !== "NOT_FOUND";
    const finding: Finding = {
      id: built ? "wasm-compiles" : "wasm-runner-there",
      level: "missing",
      what: built ? `A wasm module cannot be compiled here: ${failure.message}` : "The wasm runner is not built",
      remedy: built ? (failure.remedy ?? "See the launcher's log") : checkoutCommand("wasm-runner.sh"),
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

/**
 * Compiled as every module is, in a child with a user, namespaces, a control group and a filter of its own, and linked against WASI. It is not
 * run: that would leave a runner standing which nobody asked for.
 */
async function tryLeast({ root, launcher }: ProbeContext): Promise<number> {
  const directory = join(root, "probe");
  const name = randomBytes(8).toString("hex");
  const [module, file] = [join(directory, `${name}.wasm`), join(directory, `${name}.cwasm`)];
  ensureDirectory(directory, 0o711);
  const began = performance.now();
  try {
    writeBytes(module, LEAST_COMMAND);
    await launcher.request("compileModule", { module, file });
    return Math.round(performance.now() - began);
  } finally {
    removeFile(module);
    removeFile(file);
  }
}
