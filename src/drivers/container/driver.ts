/**
 * The container boundary: one OCI runtime on the host's kernel, under a supervisor that outlives the daemon.
 *
 *   probe    a container is really run with each runtime, until one works
 *   prepare  directories, hosts, hostname, resolv.conf; checks of what cannot work
 *   launch   config.json ─▶ launcher ─▶ supervisor ─▶ crun create; the main process is held
 *   adopt    socket ─▶ exit record ─▶ traces
 *   remove   the launcher ends, unmounts and deletes
 */

import type { Call } from "../../contract/call.ts";
import type { Adoption, BoundaryDriver, Bundle, BundlePlace, ProbeReport } from "../../contract/driver.ts";
import { Failure, quote, toFailure } from "../../contract/failure.ts";
import { identityFor, OWN_IDS } from "../../contract/host-ids.ts";
import { plainProcess, type ProcessSpec } from "../../contract/process.ts";
import type { Sandbox } from "../../contract/sandbox.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { readAppArmor } from "../../host/apparmor.ts";
import { findDevice, listDevices } from "../../host/device-node.ts";
import { findProgram, type HostFacts, readHostFacts } from "../../host/host-facts.ts";
import { removeSandbox, socketOf, unusable } from "../../host/held-bundle.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { createStillborn, isAboutCommand } from "../../host/stillborn-sandbox.ts";
import { ensureSocketDirectory } from "../../host/workload-files.ts";
import { chooseProfile } from "./apparmor.ts";
import { type ContainerBundle, composeConfig, composePlan, composeSeccomp, readBundle } from "./bundle.ts";
import { grantCapabilities, namesOf } from "./capabilities.ts";
import { composeDebug } from "./debug.ts";
import { checkDisk, checkIds, findFileSources, placesOf, writeFiles } from "../oci/bundle.ts";
import { readAccounts } from "../oci/image-accounts.ts";
import { findInit } from "../oci/init.ts";
import type { OciDevice } from "../oci/oci-config.ts";
import { type FoundRuntime, identityOf, type Probed, probeContainers } from "./probe.ts";
import { adoptOciSandbox, clearEarlier, launchSandbox, type OciAbilities } from "../oci/sandbox.ts";
import { CONTAINER_TRAITS, facetsWith } from "./traits.ts";

export interface ContainerDriverOptions {
  readonly launcher: Launcher;
  /** The daemon's root: trials of the probe are made below it. */
  readonly root: string;
  /** Directory of the supervisors' sockets; short, for a socket's path has at most 100 bytes. */
  readonly sockets: string;
  /** Candidates for the init that `--init` shows inside, a program without libraries. */
  readonly initPrograms?: readonly string[];
  /** Where a program is installed; the host's own directories when absent. */
  readonly findProgram?: (name: string) => string | undefined;
}

export function createContainerDriver(options: ContainerDriverOptions): BoundaryDriver {
  return new ContainerDriver(options);
}

class ContainerDriver implements BoundaryDriver {
  readonly kind = "container";
  readonly traits = CONTAINER_TRAITS;
  readonly #options: ContainerDriverOptions;
  readonly #host: HostFacts = readHostFacts();
  #probed: Promise<Probed> | undefined;

  constructor(options: ContainerDriverOptions) {
    this.#options = options;
  }

  async probe(call: Call): Promise<ProbeReport> {
    this.#probed = probeContainers(
      { findProgram, ...this.#options, driver: this, bundleFor: (runtime, spec, directory) => this.#bundle(runtime, spec, directory) },
      call,
    );
    return (await this.#probed).report;
  }

  async prepare(spec: SandboxSpec, directory: string, call: Call): Promise<Bundle> {
    checkDisk(spec, this.kind);
    if (this.#probed === undefined) await this.probe(call);
    const { runtime, report } = (await this.#probed) as Probed;
    if (runtime === undefined) throw unusable(report, spec.workload, "containers");
    return this.#bundle(runtime, spec, directory);
  }

  async launch(bundle: Bundle, main: ProcessSpec, call: Call): Promise<Sandbox> {
    const held = readBundle(bundle);
    const { launcher } = this.#options;
    await clearEarlier(launcher, bundle);
    const places = placesOf(bundle.directory);
    const seccomp = composeSeccomp(held.spec, this.#host);
    const files = { ...places, ...(held.init === undefined ? {} : { init: held.init }) };
    const config = composeConfig(held, main, { files, accounts: readAccounts(held.spec.root, places.upper), seccomp });
    checkIds(held, config, bundle.workload);
    try {
      const given = { held, config, plan: composePlan(bundle, held, main, seccomp), abilities: this.#abilities(bundle, held) };
      return await launchSandbox(launcher, bundle, given, call);
    } catch (thrown) {
      const failure = toFailure(thrown);
      if (!isAboutCommand(failure)) throw failure;
      return createStillborn({
        workload: bundle.workload,
        program: main.command[0] ?? "",
        identity: held.identity,
        failure,
        facets: facetsWith(held.runtime.name),
      });
    }
  }

  async adopt(bundle: Bundle, call: Call): Promise<Adoption> {
    const held = readBundle(bundle);
    return adoptOciSandbox(this.#options.launcher, bundle, { held, abilities: this.#abilities(bundle, held) }, call);
  }

  remove(place: BundlePlace): Promise<void> {
    return removeSandbox(this.#options.launcher, place);
  }

  #abilities(bundle: Bundle, held: ContainerBundle): OciAbilities {
    const debug: OciAbilities["debug"] = (process, tools) => composeDebug(bundle, held, { process, tools, seccomp: composeSeccomp(held.spec, this.#host) });
    return { capabilities: held.hostCapabilities, files: true, ...(facetsWith(held.runtime.name).includes("debug") ? { debug } : {}) };
  }

  #bundle(runtime: FoundRuntime, spec: SandboxSpec, directory: string): Bundle {
    if (spec.root.form !== "directories")
      throw new Failure("UNSUPPORTED", "A container needs its root as layers of directories", { workload: spec.workload, boundary: this.kind });
    const init = spec.init ? findInit(spec, this.kind, this.#options.initPrograms ?? []) : undefined;
    const hostCapabilities = namesOf(this.#host.capabilityMask);
    const confined = chooseProfile(spec, runtime.appArmor, readAppArmor);
    const security = { ...confined.security, capabilities: grantCapabilities(spec, hostCapabilities) };
    const identity = identityFor(identityOf(runtime), this.traits, spec);
    const held: ContainerBundle = {
      version: 1,
      spec: { ...confined, security },
      hostCapabilities,
      identity,
      ownIds: identity.traits.includes(OWN_IDS),
      runtime: { name: runtime.name, path: runtime.path, arguments: [] },
      socket: socketOf(this.#options.sockets, spec.workload),
      devices: findDevices(spec),
      fileSources: findFileSources(spec),
      ...(init === undefined ? {} : { init: placesOf(directory).initCopy }),
    };
    checkEarly(held, this.#host, directory);
    writeFiles(spec, directory, init);
    ensureSocketDirectory(held.socket);
    return { version: 1, kind: this.kind, workload: spec.workload, directory, driver: held };
  }
}

/** What of a spec can be judged before there is a process: a bad profile, sysctl or mount is told at create, not at start. */
function checkEarly(held: ContainerBundle, host: HostFacts, directory: string): void {
  const nothing = { ...plainProcess(["/"]), user: "0" };
  const seccomp = composeSeccomp(held.spec, host);
  composeConfig(held, nothing, { files: placesOf(directory), accounts: { users: [], groups: [] }, seccomp });
}

function findDevices(spec: SandboxSpec): OciDevice[] {
  const named = spec.security.devices.map(({ hostPath, path }) => {
    const device = findDevice(hostPath);
    if (device === undefined) {
      throw new Failure("INVALID_SPEC", `${quote(hostPath)} is no device of this host`, {
        workload: spec.workload,
        boundary: "container",
        remedy: "Name a character or block device below /dev",
      });
    }
    return { ...device, path };
  });
  if (!spec.security.privileged) return named;
  const taken = new Set(named.map(({ path }) => path));
  return [...named, ...listDevices().filter(({ path }) => !taken.has(path))];
}
