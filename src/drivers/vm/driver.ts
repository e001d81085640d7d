/**
 * The vm boundary: a whole machine with firmware, an operating system of its own and a disk that lives as long as the workload.
 *
 *   probe    a disk is really booted: emulated, then by hardware, and what boots is what is used
 *   prepare  checks of what such a machine cannot carry; its size; the files that its monitor will see
 *   launch   launcher ─▶ supervisor ─▶ disk made where it is not there ─▶ monitor confined, its processors standing: held
 *   adopt    socket ─▶ exit record ─▶ traces
 *   remove   the launcher ends it and deletes, its disk with it
 */

import { availableParallelism } from "node:os";
import type { Call } from "../../contract/call.ts";
import type { Adoption, BoundaryDriver, Bundle, BundlePlace, ProbeReport } from "../../contract/driver.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { Sandbox } from "../../contract/sandbox.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { removeSandbox, socketOf, unusable } from "../../host/held-bundle.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { ensureDirectory, ensureSocketDirectory } from "../../host/workload-files.ts";
import { adoptMachine, launchMachine } from "../machine/life.ts";
import { machineTraitNames } from "../machine/monitor.ts";
import { checkSpec, composePlan, placesOf, readBundle, type VmBundle } from "./bundle.ts";
import { mayHaveChanged, type Probed, probeVms, type UsableVms } from "./probe.ts";
import { sandboxOptions } from "./sandbox.ts";
import { sizeOf } from "./size.ts";
import { VM_TRAITS } from "./traits.ts";

export interface VmDriverOptions {
  readonly launcher: Launcher;
  /** The daemon's root: trials of the probe are made below it, and what they found is kept there. */
  readonly root: string;
  /** Directory of the supervisors' sockets; short, for a socket's path has at most 100 bytes. */
  readonly sockets: string;
  /** The operator's own monitor, from the configuration. */
  readonly qemu?: string;
}

export function createVmDriver(options: VmDriverOptions): BoundaryDriver {
  return new VmDriver(options);
}

class VmDriver implements BoundaryDriver {
  readonly kind = "vm";
  readonly traits = VM_TRAITS;
  readonly #options: VmDriverOptions;
  #probed: Promise<Probed> | undefined;

  constructor(options: VmDriverOptions) {
    this.#options = options;
  }

  async probe(call: Call): Promise<ProbeReport> {
    this.#probed = probeVms({ ...this.#options, driver: this, bundleFor: (machines, spec, directory) => this.#bundle(machines, spec, directory) }, call);
    return (await this.#probed).report;
  }

  async prepare(spec: SandboxSpec, directory: string, call: Call): Promise<Bundle> {
    checkSpec(spec);
    const { machines, report } = await this.#whatIsThere(call);
    if (machines === undefined) throw unusable(report, spec.workload, "whole machines");
    return this.#bundle(machines, spec, directory);
  }

  /** What was found, found anew where its files have gone or appeared meanwhile. */
  async #whatIsThere(call: Call): Promise<Probed> {
    const known = this.#probed;
    if (known !== undefined && !mayHaveChanged(await known)) return known;
    if (this.#probed === known) await this.probe(call);
    return this.#probed as Promise<Probed>;
  }

  async launch(bundle: Bundle, main: ProcessSpec, call: Call): Promise<Sandbox> {
    const held = readBundle(bundle);
    const { launcher } = this.#options;
    const identity = { ...held.identity, start: "cold" } as const;
    const given = { launcher, log: call.log, terminal: main.terminal };
    const order = {
      launcher,
      places: placesOf(bundle.directory),
      plan: () => composePlan(bundle, held, main),
      options: (mainPid: number | undefined) => sandboxOptions(bundle, { ...held, identity }, { ...given, mainPid }),
    };
    return launchMachine(order, call);
  }

  async adopt(bundle: Bundle, call: Call): Promise<Adoption> {
    const held = readBundle(bundle);
    const options = sandboxOptions(bundle, held, { launcher: this.#options.launcher, log: call.log, terminal: false, mainPid: undefined });
    return adoptMachine(options, placesOf(bundle.directory));
  }

  async remove(place: BundlePlace): Promise<void> {
    await removeSandbox(this.#options.launcher, place);
  }

  #bundle(machines: UsableVms, spec: SandboxSpec, directory: string): Bundle {
    const { kvm, program, systemFiles, raiseDeadlineMs, version } = machines;
    const { bytes: baseBytes } = checkSpec(spec);
    const held: VmBundle = {
      version: 1,
      spec,
      identity: { kind: this.kind, engine: "qemu", version, emulated: !kvm, traits: machineTraitNames(!kvm) },
      program,
      systemFiles,
      kvm,
      size: sizeOf(spec.limits, { emulated: !kvm, processors: availableParallelism(), baseBytes, workload: spec.workload }),
      raiseDeadlineMs,
      socket: socketOf(this.#options.sockets, spec.workload),
    };
    ensureDirectory(directory, 0o711);
    ensureSocketDirectory(held.socket);
    return { version: 1, kind: this.kind, workload: spec.workload, directory, driver: held };
  }
}
