/**
 * The microvm boundary: a machine of its own kernel under a supervisor that outlives the daemon.
 *
 *   probe    a machine is really booted: emulated, then by hardware, and what boots is what is used
 *   prepare  checks of what a machine cannot carry; its size; the files that its monitor will see
 *   launch   launcher ─▶ supervisor ─▶ monitor confined ─▶ agent waits ─▶ configured; the main process is held
 *   adopt    socket ─▶ exit record ─▶ traces
 *   remove   the launcher ends it and deletes
 */

import { statSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { Call } from "../../contract/call.ts";
import type { Adoption, BoundaryDriver, Bundle, BundlePlace, ProbeReport, TemplateFacet } from "../../contract/driver.ts";
import type { ProcessSpec } from "../../contract/process.ts";
import type { Sandbox } from "../../contract/sandbox.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { removeSandbox, socketOf, unusable } from "../../host/held-bundle.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { ensureDirectory, ensureSocketDirectory } from "../../host/workload-files.ts";
import { adoptMachine, launchMachine } from "../machine/life.ts";
import { machineTraitNames } from "../machine/monitor.ts";
import { checkSpec, composePlan, type MicrovmBundle, placesOf, readBundle, type TemplateUse } from "./bundle.ts";
import { mayHaveChanged, type Probed, probeMachines, type UsableMachines } from "./probe.ts";
import { sandboxOptions } from "./sandbox.ts";
import { sizeOf } from "./size.ts";
import { createTemplates } from "./templates.ts";
import { MICROVM_TRAITS } from "./traits.ts";

export interface MicrovmDriverOptions {
  readonly launcher: Launcher;
  /** The daemon's root: trials of the probe are made below it, and what they found is kept there. */
  readonly root: string;
  /** Directory of the supervisors' sockets; short, for a socket's path has at most 100 bytes. */
  readonly sockets: string;
  /** Candidates for the guest's init: its hash names the initrd. */
  readonly guestPrograms: readonly string[];
  /** Where `scripts/kernel` keeps kernels. */
  readonly kernels?: string;
  /** The operator's own kernel, initrd and monitor, from the configuration. */
  readonly kernel?: string;
  readonly initrd?: string;
  readonly qemu?: string;
}

export function createMicrovmDriver(options: MicrovmDriverOptions): BoundaryDriver {
  return new MicrovmDriver(options);
}

class MicrovmDriver implements BoundaryDriver {
  readonly kind = "microvm";
  readonly traits = MICROVM_TRAITS;
  readonly #options: MicrovmDriverOptions;
  readonly templates: TemplateFacet;
  #probed: Promise<Probed> | undefined;
  #fingerprint: string | undefined;

  constructor(options: MicrovmDriverOptions) {
    this.#options = options;
    this.templates = createTemplates({
      launcher: options.launcher,
      fingerprint: () => this.#fingerprint,
      launch: (bundle, main, template, call) => this.#launch(bundle, main, call, template),
    });
  }

  async probe(call: Call): Promise<ProbeReport> {
    const probed = probeMachines({ ...this.#options, driver: this, bundleFor: (machines, spec, directory) => this.#bundle(machines, spec, directory) }, call);
    this.#probed = probed;
    const { report, machines } = await probed;
    this.#fingerprint = machines?.fingerprint;
    return report;
  }

  async prepare(spec: SandboxSpec, directory: string, call: Call): Promise<Bundle> {
    checkSpec(spec);
    const { machines, report } = await this.#whatIsThere(call);
    if (machines === undefined) throw unusable(report, spec.workload, "machines");
    return this.#bundle(machines, spec, directory);
  }

  /** What was found, found anew where its files have gone or appeared meanwhile: a kernel may be removed under a running daemon. */
  async #whatIsThere(call: Call): Promise<Probed> {
    const known = this.#probed;
    if (known !== undefined && !mayHaveChanged(await known)) return known;
    if (this.#probed === known) await this.probe(call);
    return this.#probed as Promise<Probed>;
  }

  launch(bundle: Bundle, main: ProcessSpec, call: Call): Promise<Sandbox> {
    return this.#launch(bundle, main, call);
  }

  async #launch(bundle: Bundle, main: ProcessSpec, call: Call, template?: TemplateUse): Promise<Sandbox> {
    const held = readBundle(bundle);
    const { launcher } = this.#options;
    const identity = { ...held.identity, start: template === undefined ? "cold" : "template" } as const;
    const given = { launcher, log: call.log, terminal: main.terminal };
    const order = {
      launcher,
      places: placesOf(bundle.directory),
      plan: () => composePlan(bundle, held, main, template),
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

  #bundle(machines: UsableMachines, spec: SandboxSpec, directory: string): Bundle {
    const { kvm } = machines;
    const size = sizeOf(spec.limits, { emulated: !kvm, processors: availableParallelism(), workload: spec.workload });
    const held: MicrovmBundle = {
      version: 1,
      spec,
      identity: { kind: this.kind, engine: "qemu", version: machines.version, emulated: !kvm, traits: machineTraitNames(!kvm) },
      program: machines.program,
      systemFiles: machines.systemFiles,
      kernel: machines.kernel,
      kvm,
      size,
      bootDeadlineMs: machines.bootDeadlineMs,
      socket: socketOf(this.#options.sockets, spec.workload),
      ...(machines.fingerprint === undefined ? {} : { fingerprint: machines.fingerprint }),
      fileBinds: spec.mounts.flatMap((mount, at) => (mount.kind === "bind" && !statSync(mount.source).isDirectory() ? [at] : [])),
    };
    ensureDirectory(directory, 0o711);
    ensureSocketDirectory(held.socket);
    return { version: 1, kind: this.kind, workload: spec.workload, directory, driver: held };
  }
}
