/**
 * The driver contract: what the engine may ask of the code behind one boundary.
 *
 * The life of a workload, in order:
 *
 *   prepare ─▶ launch ─▶ sandbox.start ─▶ … ─▶ sandbox.ended ─▶ remove
 *                 ▲                                   │
 *                 └── adopt (after a daemon restart) ─┘        a restart is launch again on the same bundle
 *
 * A driver does one thing when told. It never retries, restarts, times out, or decides; the engine does. It never
 * falls back to something weaker. Each step may be cut by SIGKILL at any instruction, and `remove` must then leave nothing.
 */

import type { BoundaryIdentity, BoundaryKind, BoundaryTraits } from "./boundary.ts";
import type { Call } from "./call.ts";
import type { ProcessSpec } from "./process.ts";
import type { EndReason, Sandbox } from "./sandbox.ts";
import type { SandboxSpec } from "./spec.ts";

/** One thing found out about this host by doing it. */
export interface Finding {
  /** Stable, kebab-case, prefixed by area: `kvm-boots`, `crun-runs`. */
  readonly id: string;
  readonly level: "ok" | "note" | "warning" | "missing";
  /** One sentence: what was done and what was seen. */
  readonly what: string;
  /** A command or an action that mends it. */
  readonly remedy?: string;
}

export interface ProbeReport {
  readonly kind: BoundaryKind;
  /** Whether a launch can be expected to work now. */
  readonly usable: boolean;
  /** Which engine would carry a workload; absent where none can. */
  readonly identity?: BoundaryIdentity;
  readonly findings: readonly Finding[];
  /** Names of the facets that sandboxes of this driver have on this host. */
  readonly facets: readonly FacetName[];
}

export type FacetName = "exec" | "pause" | "resize" | "top" | "snapshot" | "files" | "debug";

/** Where a workload lives: known before `prepare` has run, so that what a cut `prepare` left can be removed too. */
export interface BundlePlace {
  readonly kind: BoundaryKind;
  readonly workload: string;
  /** The workload's own directory, made by the driver; everything that the driver writes is below it. */
  readonly directory: string;
}

/**
 * What `prepare` leaves behind. Plain, versioned data: it survives restart and upgrade of the daemon, and every older
 * version stays readable. `driver` is opaque to the engine.
 */
export interface Bundle extends BundlePlace {
  readonly version: 1;
  readonly driver: unknown;
}

/**
 * What became of a bundle's latest launch; what an earlier launch left (its exit record) is never told again. A launch that the
 * daemon before had begun and that is still on its way is waited for or undone: nothing appears after the answer.
 */
export type Adoption =
  /** `main` tells whether `start` was carried out: a daemon may die between asking for it and writing it down. */
  | { readonly state: "standing"; readonly sandbox: Sandbox; readonly main: "held" | "running" | "paused" }
  /** It ended while no daemon looked; the supervisor's record says how. `started`: whether the main process was ever let go. */
  | { readonly state: "ended"; readonly reason: EndReason; readonly started: boolean }
  /** Nothing was ever launched on this bundle, or its launch was cut before anything stood. */
  | { readonly state: "not-launched" };

export interface BoundaryDriver {
  readonly kind: BoundaryKind;
  readonly traits: BoundaryTraits;

  /** Finds out what this host can do by doing it. Never rejects for what is missing: that is a finding. Cached by the caller. */
  probe(call: Call): Promise<ProbeReport>;

  /**
   * Everything slow that needs no process: files and checks, so that launch is timed alone. Repeatable: a second
   * prepare into the same directory replaces the first, and keeps what the workload wrote into its root and its log.
   * Rejects UNSUPPORTED for what this boundary can never carry.
   */
  prepare(spec: SandboxSpec, directory: string, call: Call): Promise<Bundle>;

  /**
   * Raises the boundary with the main process created and held. `main` travels apart from the spec, and nothing of it may
   * enter a machine's boot. When it rejects, nothing stands and nothing is left but the bundle's files.
   */
  launch(bundle: Bundle, main: ProcessSpec, call: Call): Promise<Sandbox>;

  /** Finds out what became of a bundle: by a new daemon, about what an earlier one launched. */
  adopt(bundle: Bundle, call: Call): Promise<Adoption>;

  /** Ends what stands and removes every trace, the directory included. Idempotent; right after a crash at any earlier step, within `prepare` too. */
  remove(place: BundlePlace, call: Call): Promise<void>;

  /** Save a booted machine once, launch from it many times. */
  readonly templates?: TemplateFacet;
}

/**
 * A template is a machine saved at the point where its agent waits: nothing of any run has happened in it, so that any run may begin from
 * it whose machine has the same shape. What clones of one template share is what their kernel booted into; random numbers, names, clock
 * and addresses are each one's own.
 */
export interface TemplateFacet {
  /**
   * Names the templates that this bundle can be launched from: all that a saved state depends on (the shape of the machine, its kernel and init,
   * the engine, the processor, how it is accelerated) and nothing of the run. Undefined: this one can only be launched cold.
   */
  keyOf(bundle: Bundle): string | undefined;
  /** Boots a machine of the bundle's shape under the place's workload, and saves it in the place's directory, which `remove` takes away again. */
  bake(bundle: Bundle, place: BundlePlace, call: Call): Promise<Template>;
  /** The template that lies in a directory, also from an earlier daemon; undefined where it is not whole, or could not be begun from any more. */
  find(directory: string): Template | undefined;
  /** As `BoundaryDriver.launch`. When it rejects, nothing stands, and the same bundle can be launched cold: behind the same wall. */
  launch(template: Template, bundle: Bundle, main: ProcessSpec, call: Call): Promise<Sandbox>;
}

/** Read by this program alone: another version bakes its own. */
export interface Template {
  readonly version: 1;
  readonly kind: BoundaryKind;
  readonly directory: string;
  readonly key: string;
  readonly driver: unknown;
}
