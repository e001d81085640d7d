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
import { identityFor, OWN_IDS } from "../../contract/host-ids.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { Sandbox } from "../../contract/sandbox.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { findProgram } from "../../host/host-facts.ts";
import { removeSandbox, socketOf, unusable } from "../../host/held-bundle.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { ensureSocketDirectory } from "../../host/workload-files.ts";
import { checkDisk, checkIds, findFileSources, placesOf, writeFiles } from "../oci/bundle.ts";
import { readAccounts } from "../oci/image-accounts.ts";
import { findInit } from "../oci/init.ts";
import { adoptOciSandbox, clearEarlier, launchSandbox } from "../oci/sandbox.ts";
import { composeConfig, composePlan, type GvisorBundle, readBundle } from "./bundle.ts";
import { type FoundRunsc, identityOf, type Probed, probeGvisor } from "./probe.ts";
import { checkSpec } from "./spec.ts";
import { GVISOR_TRAITS, type Platform } from "./traits.ts";

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
    checkDisk(spec, this.kind);
    if (this.#probed === undefined) await this.probe(call);
    const { runsc, report } = (await this.#probed) as Probed;
    if (runsc === undefined) throw unusable(report, spec.workload, "gVisor");
    return this.#bundle(runsc, spec, directory);
  }

  async launch(bundle: Bundle, main: ProcessSpec, call: Call): Promise<Sandbox> {
    const held = readBundle(bundle);
    const { launcher } = this.#options;
    await clearEarlier(launcher, bundle);
    const places = placesOf(bundle.directory);
    const files = { ...places, ...(held.init === undefined ? {} : { init: held.init }) };
    const config = composeConfig(held, main, { files, accounts: readAccounts(held.spec.root, places.upper) });
    checkIds(held, config, bundle.workload);
    const { capabilities } = held.spec.security;
    return launchSandbox(launcher, bundle, { held, config, plan: composePlan(bundle, held, main), abilities: { capabilities, files: false } }, call);
  }

  async adopt(bundle: Bundle, call: Call): Promise<Adoption> {
    const held = readBundle(bundle);
    return adoptOciSandbox(this.#options.launcher, bundle, { held, abilities: { capabilities: held.spec.security.capabilities, files: false } }, call);
  }

  remove(place: BundlePlace): Promise<void> {
    return removeSandbox(this.#options.launcher, place);
  }

  #bundle(runsc: FoundRunsc, spec: SandboxSpec, directory: string): Bundle {
    checkSpec(spec);
    const init = spec.init ? findInit(spec, this.kind, this.#options.initPrograms ?? []) : undefined;
    const identity = identityFor(identityOf(runsc), this.traits, spec);
    const held: GvisorBundle = {
      version: 1,
      spec,
      identity,
      ownIds: identity.traits.includes(OWN_IDS),
      runtime: { name: "runsc", path: runsc.path, arguments: runsc.arguments },
      socket: socketOf(this.#options.sockets, spec.workload),
      fileSources: findFileSources(spec),
      ...(init === undefined ? {} : { init: placesOf(directory).initCopy }),
    };
    writeFiles(spec, directory, init);
    ensureSocketDirectory(held.socket);
    return { version: 1, kind: this.kind, workload: spec.workload, directory, driver: held };
  }
}
