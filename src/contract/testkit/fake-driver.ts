/**
 * A complete driver in memory, for tests without privilege. It keeps every promise of the contract, and can be told to
 * fail, to hang or to lose its daemon at each step.
 */

import type { BoundaryIdentity, BoundaryKind, BoundaryTraits } from "../boundary.ts";
import type { Call } from "../call.ts";
import type { Adoption, BoundaryDriver, Bundle, FacetName, Finding, Template, TemplateFacet } from "../driver.ts";
import { Failure } from "../failure.ts";
import type { ProcessSpec } from "../process.ts";
import type { SandboxSpec } from "../spec.ts";
import type { FakeHost } from "./fake-host.ts";
import { fakeSandbox, type Step } from "./fake-sandbox.ts";
import { FakeSupervisor } from "./fake-supervisor.ts";

export const FAKE_FACETS: readonly FacetName[] = ["exec", "pause", "resize", "top", "snapshot", "files", "debug"];

export interface FakeDriverOptions {
  readonly host: FakeHost;
  readonly kind?: BoundaryKind;
  readonly facets?: readonly FacetName[];
  readonly traits?: Partial<BoundaryTraits>;
  /** Names of traits that its identity carries beside `fake`. */
  readonly traitNames?: readonly string[];
  /** Makes the probe say that this host lacks the boundary. */
  readonly missing?: Finding;
  readonly kernel?: string;
}

export interface FakeDriver extends BoundaryDriver {
  /** As SIGKILL to the daemon: nothing that this driver gave out ever answers again. */
  die(): void;
}

const TRAITS: BoundaryTraits = { kernel: "host", hardwareEnforced: false, rootForm: "directories", hostNetwork: true, hostPaths: "mount" };

export function createFakeDriver(options: FakeDriverOptions): FakeDriver {
  const { host, kind = "container", facets = FAKE_FACETS } = options;
  const identity: BoundaryIdentity = { kind, engine: "fake", version: "1.0", emulated: false, traits: ["fake", ...(options.traitNames ?? [])] };
  let dead = false;
  const never = new Promise<never>(() => {});

  const step: Step = async (name, call, effect) => {
    if (dead) return never;
    if (call.signal.aborted) throw new Failure("CANCELLED", `${name} was cancelled`);
    const fault = host.takeFault(name);
    if (fault?.act === "fail") throw fault.failure;
    if (fault?.act === "hang") return cancelled(call, name);
    if (fault?.act === "wait") {
      await fault.open;
      const failure = fault.failure();
      if (failure !== undefined) throw failure;
    }
    if (fault?.act === "die" && fault.when === "before") dead = true;
    if (dead) return never;
    host.journal.push(name);
    const result = await effect();
    if (fault?.act === "die") dead = true;
    return dead ? never : result;
  };

  const open = (supervisor: FakeSupervisor) => {
    const sandbox = fakeSandbox(supervisor, identity, facets, step);
    return { ...sandbox, ended: sandbox.ended.then((reason) => (dead ? never : reason)) };
  };

  async function launch(bundle: Bundle, main: ProcessSpec, call: Call) {
    if (host.standing.has(bundle.directory)) throw new Failure("WRONG_STATE", "this bundle stands already");
    return step("launch", call, () => {
      const place = host.place(bundle.directory);
      if (!place.prepared) throw new Failure("INTERNAL", "launch of a bundle that was never prepared");
      place.record = undefined;
      const supervisor = new FakeSupervisor(host, { directory: bundle.directory, spec: readSpec(bundle), main, kernel: options.kernel ?? "6.0-fake" });
      host.standing.set(bundle.directory, supervisor);
      return open(supervisor);
    });
  }

  async function adopt(bundle: Bundle, call: Call): Promise<Adoption> {
    return step("adopt", call, () => {
      const supervisor = host.standing.get(bundle.directory);
      if (supervisor !== undefined && supervisor.state !== "ended") return { state: "standing", sandbox: open(supervisor), main: supervisor.state };
      const record = host.places.get(bundle.directory)?.record;
      return record === undefined ? { state: "not-launched" } : { state: "ended", ...record };
    });
  }

  const templateIn = (directory: string): Template => ({ version: 1, kind, directory, key: "fake", driver: {} });
  const templates: TemplateFacet = {
    keyOf: () => "fake",
    bake: (_bundle, { directory }, call) =>
      step("bake", call, () => {
        host.makeDirectory(directory);
        host.place(directory).template = "whole";
        return templateIn(directory);
      }),
    find: (directory) => (host.places.get(directory)?.template === undefined ? undefined : templateIn(directory)),
    launch: (template, bundle, main, call) =>
      step("launch-template", call, async () => {
        if (host.places.get(template.directory)?.template !== "whole") throw new Failure("CORRUPT_DATA", "nothing can begin from this template");
        const sandbox = await launch(bundle, main, call);
        return { ...sandbox, identity: { ...identity, start: "template" } };
      }),
  };

  return {
    kind,
    traits: { ...TRAITS, ...options.traits },
    probe: (call) =>
      step("probe", call, () =>
        options.missing === undefined
          ? { kind, usable: true, identity, findings: [{ id: "fake-runs", level: "ok", what: "The fake runs everywhere." }], facets }
          : { kind, usable: false, findings: [options.missing], facets: [] },
      ),
    prepare: (spec, directory, call) =>
      step("prepare", call, () => {
        host.place(directory).prepared = true;
        return { version: 1, kind, workload: spec.workload, directory, driver: { spec: structuredClone(spec) } };
      }),
    launch,
    adopt,
    remove: (place, call) =>
      step("remove", call, async () => {
        const supervisor = host.standing.get(place.directory);
        supervisor?.end();
        await supervisor?.ended;
        host.clear(place.directory);
      }),
    templates,
    die: () => {
      dead = true;
    },
  };
}

function readSpec(bundle: Bundle): SandboxSpec {
  return (bundle.driver as { readonly spec: SandboxSpec }).spec;
}

/** Rejects once the call is aborted, and otherwise never. */
function cancelled(call: Call, name: string): Promise<never> {
  return new Promise((_resolve, reject) => {
    call.signal.addEventListener("abort", () => reject(new Failure("CANCELLED", `${name} was cancelled`)), { once: true });
  });
}
