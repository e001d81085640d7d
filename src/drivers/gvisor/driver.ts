/**
 * The gVisor boundary: a kernel in user space between the workload and the host's, under a supervisor that outlives the daemon.
 *
 *   probe    a sandbox is really run on each platform, until one works
 *   prepare  checks of what gVisor cannot carry; directories, hosts, hostname, resolv.conf
 *   launch   config.json ─▶ launcher ─▶ supervisor ─▶ runsc create; the workload's program is not loaded yet
 *   adopt    socket ─▶ exit record ─▶ traces
 *   remove   the launcher ends, unmounts and deletes
 */

import type { Call } from "../../contract/call.ts";
import type { Adoption, BoundaryDriver, Bundle, BundlePlace, ProbeReport } from "../../contract/driver.ts";
import { Failure } from "../../contract/failure.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { Sandbox } from "../../contract/sandbox.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { findProgram } from "../../host/host-facts.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { adoptSandbox, raise } from "../../host/raise.ts";
import { connectSandbox } from "../../host/supervised-sandbox.ts";
import { ensureDirectory, ensureSocketDirectory, isDirectory, isThere, removeFile, writeInPlace, writeWhole } from "../../host/workload-files.ts";
import { readAccounts } from "../oci/image-accounts.ts";
import { findInit } from "../oci/init.ts";
import { composeConfig, composePlan, type GvisorBundle, placesOf, readBundle } from "./bundle.ts";
import { type FoundRunsc, type Probed, probeGvisor } from "./probe.ts";
import { sandboxOptions } from "./sandbox.ts";
import { checkSpec } from "./spec.ts";
import { GVISOR_TRAITS, gvisorTraitNames, type Platform } from "./traits.ts";

export interface GvisorDriverOptions {
  readonly launcher: Launcher;
  /** The daemon's root: trials of the probe are made below it. */
  readonly root: string;
  /** Directory of the supervisors' sockets; short, for a socket's path has at most 100 bytes. */
  readonly sockets: string;
  /** The only platform to use, from the operator's configuration; chosen by trying when absent. */
  readonly platform?: Platform;
  /** Candidates for the init that `--init` shows inside, a program without libraries. */
  readonly initPrograms?: readonly string[];
  /** Where a program is installed; the host's own directories when absent. */
  readonly findProgram?: (name: string) => string | undefined;
}

export function createGvisorDriver(options: GvisorDriverOptions): BoundaryDriver {
  return new GvisorDriver(options);
}

class GvisorDriver implements BoundaryDriver {
  readonly kind = "gvisor";
  readonly traits = GVISOR_TRAITS;
  readonly #options: GvisorDriverOptions;
  #probed: Promise<Probed> | undefined;

  constructor(options: GvisorDriverOptions) {
    this.#options = options;
  }

  async probe(call: Call): Promise<ProbeReport> {
    this.#probed = probeGvisor(
      { findProgram, ...this.#options, driver: this, bundleFor: (runsc, spec, directory) => this.#bundle(runsc, spec, directory) },
      call,
    );
    return (await this.#probed).report;
  }

  async prepare(spec: SandboxSpec, directory: string, call: Call): Promise<Bundle> {
    checkSpec(spec);
    if (this.#probed === undefined) await this.probe(call);
    const { runsc, report } = (await this.#probed) as Probed;
    if (runsc === undefined) {
      const missing = report.findings.find((finding) => finding.level === "missing");
      throw new Failure("UNAVAILABLE", missing?.what ?? "This host cannot run gVisor", {
        workload: spec.workload,
        boundary: this.kind,
        ...(missing?.remedy === undefined ? {} : { remedy: missing.remedy }),
      });
    }
    return this.#bundle(runsc, spec, directory);
  }

  async launch(bundle: Bundle, main: ProcessSpec, call: Call): Promise<Sandbox> {
    const held = readBundle(bundle);
    const places = placesOf(bundle.directory);
    // The supervisor of an earlier launch may still be unmaking what nobody waits for.
    if (isThere(places.config)) await this.#options.launcher.request("remove", { workload: bundle.workload, directory: bundle.directory, keepDirectory: true });
    removeFile(places.exitRecord);
    removeFile(places.startMark);
    const files = { ...places, ...(held.init === undefined ? {} : { init: held.init }) };
    const config = composeConfig(held, main, { files, accounts: readAccounts(held.spec.root, places.upper) });
    writeWhole(places.config, JSON.stringify(config), 0o600);
    call.reached("bundle-written");
    try {
      const { mainPid } = await raise(this.#options.launcher, composePlan(bundle, held, main), call);
      call.reached("boundary-raised");
      return connectSandbox(sandboxOptions(bundle, held, { launcher: this.#options.launcher, log: call.log, terminal: main.terminal, mainPid }));
    } catch (thrown) {
      removeFile(places.config); // the trace of a launch: this one left nothing
      throw thrown;
    }
  }

  async adopt(bundle: Bundle, call: Call): Promise<Adoption> {
    const held = readBundle(bundle);
    const places = placesOf(bundle.directory);
    const options = sandboxOptions(bundle, held, { launcher: this.#options.launcher, log: call.log, terminal: false, mainPid: undefined });
    return adoptSandbox(options, { launched: isThere(places.config), startAsked: isThere(places.startMark) });
  }

  async remove(place: BundlePlace): Promise<void> {
    await this.#options.launcher.request("remove", { workload: place.workload, directory: place.directory, keepDirectory: false });
  }

  #bundle(runsc: FoundRunsc, spec: SandboxSpec, directory: string): Bundle {
    checkSpec(spec);
    const init = spec.init ? findInit(spec, this.kind, this.#options.initPrograms ?? []) : undefined;
    const held: GvisorBundle = {
      version: 1,
      spec,
      identity: { kind: this.kind, engine: "runsc", version: runsc.version, emulated: false, traits: gvisorTraitNames(runsc.platform) },
      runtime: { name: "runsc", path: runsc.path, arguments: runsc.arguments },
      socket: `${this.#options.sockets}/${spec.workload.slice(0, 32)}.sock`,
      fileSources: spec.mounts.flatMap((mount) => (mount.kind === "bind" && !isDirectory(mount.source) ? [mount.source] : [])),
      ...(init === undefined ? {} : { init }),
    };
    writeFiles(spec, directory);
    ensureSocketDirectory(held.socket);
    return { version: 1, kind: this.kind, workload: spec.workload, directory, driver: held };
  }
}

function writeFiles(spec: SandboxSpec, directory: string): void {
  const places = placesOf(directory);
  ensureDirectory(directory, 0o711);
  ensureDirectory(places.rootfs, 0o755);
  // What a workload writes may be set-uid: nobody of the host passes through here to it.
  ensureDirectory(places.written, 0o700);
  // Its attributes become those of the workload's own /.
  ensureDirectory(places.upper, 0o755);
  ensureDirectory(places.work, 0o700);
  writeInPlace(places.hosts, spec.hosts);
  writeInPlace(places.hostname, `${spec.hostname}\n`);
  writeInPlace(places.resolvConf, spec.resolvConf);
}
