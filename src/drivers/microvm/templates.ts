/**
 * Machines saved where their agent waits, and machines that begin there.
 *
 *   keyOf    a digest of the command line that saves it, and of everything on the host that its state depends on
 *   bake     launcher ─▶ supervisor ─▶ placeholders booted, saved, gone; then the description, which makes it whole
 *   launch   as from cold, with the template's memory mapped privately and its state read instead of a boot
 *
 * What enters a template is the kernel and our init: no image, no disk, no network, no word of a workload. So any workload may begin from it.
 */

import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { Call } from "../../contract/call.ts";
import type { Bundle, BundlePlace, Template, TemplateFacet } from "../../contract/driver.ts";
import { Failure } from "../../contract/failure.ts";
import type { LaunchPlan } from "../../contract/launch-plan.ts";
import { plainProcess, type ProcessSpec } from "../../contract/process.ts";
import type { Sandbox } from "../../contract/sandbox.ts";
import type { Launcher } from "../../host/launcher-client.ts";
import { raise } from "../../host/raise.ts";
import { ensureDirectory, removeFile, writeWhole } from "../../host/workload-files.ts";
import { composeArguments, composePlan, countShares, type MicrovmBundle, placesOf, readBundle, type TemplateUse, templatePlaces } from "./bundle.ts";
import { TEMPLATE_SHARES } from "./machine.ts";

/** Raised whenever what is saved, or how it is used, changes. */
const FORMAT = 1;

interface Description {
  readonly version: 1;
  readonly format: number;
  readonly key: string;
  readonly fingerprint: string;
  readonly memoryBytes: number;
}

export interface TemplateContext {
  readonly launcher: Launcher;
  /** What templates must have been made on to be used; undefined before the probe, and where no machine runs. */
  fingerprint(): string | undefined;
  launch(bundle: Bundle, main: ProcessSpec, template: TemplateUse, call: Call): Promise<Sandbox>;
}

const nothing: ProcessSpec = plainProcess([]);

export function createTemplates(context: TemplateContext): TemplateFacet {
  return {
    keyOf: (bundle) => keyOf(readBundle(bundle)),
    bake: (bundle, place, call) => bake(context, bundle, place, call),
    find: (directory) => findTemplate(directory, context.fingerprint()),
    launch: async (template, bundle, main, call) => {
      if (template.key !== keyOf(readBundle(bundle)))
        throw new Failure("INVALID_SPEC", "The template is of another shape than the machine", { workload: bundle.workload, boundary: bundle.kind });
      return context.launch(bundle, main, { mode: "resume", directory: template.directory }, call);
    },
  };
}

function keyOf(held: MicrovmBundle): string | undefined {
  if (held.fingerprint === undefined || countShares(held.spec) > TEMPLATE_SHARES) return undefined;
  // One of 16 emulated machines with two processors that began from a template panicked in an interrupt, unexplained; of 11 that booted, none.
  if (!held.kvm && held.size.processors > 1) return undefined;
  return digest([FORMAT, held.fingerprint, composeArguments("", held, "save")]);
}

function digest(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 32);
}

async function bake(context: TemplateContext, bundle: Bundle, place: BundlePlace, call: Call): Promise<Template> {
  const held = readBundle(bundle);
  const key = keyOf(held);
  if (key === undefined || held.fingerprint === undefined)
    throw new Failure("UNSUPPORTED", "No template can be made for this machine", { boundary: place.kind });
  const { memory, state, description } = templatePlaces(place.directory);
  ensureDirectory(place.directory, 0o711);
  for (const path of [memory, state, description]) removeFile(path);
  await raise(context.launcher, composeBakePlan(bundle, held, place), call);
  const memoryBytes = statSync(memory).size;
  const described: Description = { version: 1, format: FORMAT, key, fingerprint: held.fingerprint, memoryBytes };
  writeWhole(description, JSON.stringify(described));
  return describe(place.directory, described);
}

/** The machine's shape and nothing of the run: what the plan must hold of one is empty. */
function composeBakePlan(bundle: Bundle, held: MicrovmBundle, place: BundlePlace): LaunchPlan {
  const shape: MicrovmBundle = {
    ...held,
    socket: held.socket.replace(/[^/]*$/, `${place.workload.slice(0, 32)}.sock`),
    fileBinds: [],
    spec: {
      ...held.spec,
      workload: place.workload,
      hostname: "",
      hosts: "",
      resolvConf: "",
      mounts: [],
      sysctls: {},
      log: { kind: "none" },
    },
  };
  const plan = composePlan({ ...bundle, ...place }, shape, nothing, { mode: "save", directory: place.directory });
  if (plan.engine.kind !== "machine") return plan;
  const files = [held.program, ...held.systemFiles, held.kernel.vmlinux, held.kernel.initrd].map((path) => ({ path, writable: false }));
  return {
    ...plan,
    exitRecord: placesOf(place.directory).exitRecord,
    network: { kind: "none" },
    engine: { ...plan.engine, files, shares: [], guest: { ...plan.engine.guest, layers: [], network: null } },
  };
}

function findTemplate(directory: string, fingerprint: string | undefined): Template | undefined {
  const { memory, state, description } = templatePlaces(directory);
  try {
    const described = JSON.parse(readFileSync(description, "utf8")) as Description;
    const current = described.version === 1 && described.format === FORMAT && described.fingerprint === fingerprint;
    const whole = statSync(memory).size === described.memoryBytes && statSync(state).size > 0;
    return current && whole ? describe(directory, described) : undefined;
  } catch {
    return undefined;
  }
}

function describe(directory: string, described: Description): Template {
  return { version: 1, kind: "microvm", directory, key: described.key, driver: described };
}
