/**
 * The wasm boundary: a module as an instance in the confined runner of its trust domain, which supervises it and outlives the daemon.
 *
 *   probe    the smallest module is really compiled
 *   prepare  checks of what an instance cannot carry; an image that is a module is compiled, where it is not yet
 *   launch   module ─▶ compiled, from the cache ─▶ launcher ─▶ runner of the domain; the instance is held
 *   adopt    socket ─▶ exit record ─▶ traces
 *   remove   the launcher has the runner end it, and deletes
 */

import { join } from "node:path";
import type { Call } from "../../contract/call.ts";
import type { Adoption, BoundaryDriver, Bundle, BundlePlace, ProbeReport } from "../../contract/driver.ts";
import { Failure, toFailure } from "../../contract/failure.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { Sandbox } from "../../contract/sandbox.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { clearSandbox, removeSandbox, socketOf, unusable } from "../../host/held-bundle.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { adoptSandbox, raise } from "../../host/raise.ts";
import { createStillborn, isAboutCommand } from "../../host/stillborn-sandbox.ts";
import { connectSandbox } from "../../host/supervised-sandbox.ts";
import { ensureDirectory, ensureSocketDirectory, isThere, placeMark, removeFile } from "../../host/workload-files.ts";
import { checkSpec, composePlan, placesOf, readBundle, type WasmBundle } from "./bundle.ts";
import { findModule, ModuleCache } from "./module.ts";
import { type Probed, probeWasm, type UsableEngine } from "./probe.ts";
import { sandboxOptions } from "./sandbox.ts";
import { WASM_FACETS, WASM_TRAIT_NAMES, WASM_TRAITS } from "./traits.ts";

export interface WasmDriverOptions {
  readonly launcher: Launcher;
  /** The daemon's root: compiled modules are kept below it, and the probe's trial is made there. */
  readonly root: string;
  /** Directory of the instances' sockets; short, for a socket's path has at most 100 bytes. */
  readonly sockets: string;
}

export function createWasmDriver(options: WasmDriverOptions): BoundaryDriver {
  return new WasmDriver(options);
}

class WasmDriver implements BoundaryDriver {
  readonly kind = "wasm";
  readonly traits = WASM_TRAITS;
  readonly #options: WasmDriverOptions;
  readonly #cache: ModuleCache;
  #probed: Promise<Probed> | undefined;
  #engine: UsableEngine | undefined;

  constructor(options: WasmDriverOptions) {
    this.#options = options;
    this.#cache = new ModuleCache(join(options.root, "wasm"), options.launcher);
  }

  async probe(): Promise<ProbeReport> {
    this.#probed = probeWasm(this.#options);
    const { engine, report } = await this.#probed;
    this.#engine = engine;
    return report;
  }

  async prepare(spec: SandboxSpec, directory: string): Promise<Bundle> {
    const root = checkSpec(spec);
    const { version, key } = await this.#getEngine(spec.workload);
    if (root.file !== undefined) {
      // A module that cannot run is told at `start`, as a missing program is behind every other boundary.
      await this.#cache.compile(root.file, key).catch((thrown: unknown) => {
        if (!isAboutCommand(toFailure(thrown))) throw thrown;
      });
    }
    const held: WasmBundle = {
      version: 1,
      spec,
      identity: { kind: this.kind, engine: "wasmtime", version, emulated: false, traits: WASM_TRAIT_NAMES },
      socket: socketOf(this.#options.sockets, spec.workload),
    };
    ensureDirectory(directory, 0o711);
    if (root.layers.length > 0) {
      const { upper, work } = placesOf(directory);
      ensureDirectory(join(directory, "written"), 0o700);
      ensureDirectory(upper, 0o755);
      ensureDirectory(work, 0o700);
    }
    ensureSocketDirectory(held.socket);
    return { version: 1, kind: this.kind, workload: spec.workload, directory, driver: held };
  }

  async launch(bundle: Bundle, main: ProcessSpec, call: Call): Promise<Sandbox> {
    const held = readBundle(bundle);
    const places = placesOf(bundle.directory);
    if (main.terminal)
      throw new Failure("UNSUPPORTED", "A wasm instance has no terminal", { workload: bundle.workload, boundary: this.kind, remedy: "Run it without --tty" });
    const { key } = await this.#getEngine(bundle.workload);
    // An earlier instance may still be unmade by its runner, for clients that read slowly.
    if (isThere(places.launchMark)) await clearSandbox(this.#options.launcher, bundle);
    removeFile(places.exitRecord);
    removeFile(places.startMark);
    try {
      const module = await this.#cache.compile(findModule(checkSpec(held.spec), places.upper, main), key);
      call.reached("module-compiled");
      placeMark(places.launchMark);
      await raise(this.#options.launcher, composePlan(bundle, held, main, module), call);
      call.reached("boundary-raised");
      return connectSandbox(sandboxOptions(bundle, held, { launcher: this.#options.launcher, log: call.log }));
    } catch (thrown) {
      removeFile(places.launchMark);
      const failure = toFailure(thrown);
      if (!isAboutCommand(failure)) throw failure;
      return createStillborn({ workload: bundle.workload, program: main.command[0] ?? "", identity: held.identity, failure, facets: WASM_FACETS });
    }
  }

  async adopt(bundle: Bundle, call: Call): Promise<Adoption> {
    const held = readBundle(bundle);
    const places = placesOf(bundle.directory);
    const options = sandboxOptions(bundle, held, { launcher: this.#options.launcher, log: call.log });
    return adoptSandbox(options, { launched: isThere(places.launchMark), startAsked: isThere(places.startMark) });
  }

  async remove(place: BundlePlace): Promise<void> {
    await removeSandbox(this.#options.launcher, place);
  }

  /** The engine that is here. */
  async #getEngine(workload: string): Promise<UsableEngine> {
    if (this.#engine !== undefined) return this.#engine;
    if (this.#probed === undefined) await this.probe();
    const { engine, report } = (await this.#probed) as Probed;
    if (engine !== undefined) return engine;
    throw unusable(report, workload, "wasm");
  }
}
