/**
 * Machines begin from templates where there is one of their shape: the same wall, sooner.
 *
 *   launch   a template of the bundle's key? from it; else cold, and one is baked once the engine has been quiet for a while
 *   failed   the same bundle is launched cold; where that succeeds the template was at fault and is discarded, and it is told
 *   tidy     what an earlier daemon left half-made, or for another kernel, init, monitor or processor, is removed
 *
 * Nothing of a workload enters a template (the driver's promise), so that one serves them all.
 */

import { randomBytes } from "node:crypto";
import type { Call } from "../contract/call.ts";
import type { BoundaryDriver, Bundle, BundlePlace, Template, TemplateFacet } from "../contract/driver.ts";
import { type Failure, type FailureCode, toFailure } from "../contract/failure.ts";
import type { ProcessSpec } from "../contract/process.ts";
import type { Sandbox } from "../contract/sandbox.ts";
import { listNames } from "../host/workload-files.ts";
import { readAvailableMemory } from "./available-memory.ts";
import { ownCall, type Context } from "./context.ts";
import type { TemplateView } from "./index.ts";

export interface TemplateOptions {
  readonly enabled: boolean;
  /** Nothing was launched for so long: a bake takes a processor for a second. */
  readonly quietMs: number;
  /** Templates kept; the one used longest ago goes first. */
  readonly limit: number;
  readonly leastAvailableBytes: number;
}

export const TEMPLATES: TemplateOptions = { enabled: true, quietMs: 500, limit: 8, leastAvailableBytes: 1024 * 1024 * 1024 };

/** Failures that another start of the same bundle would meet again: not the template's. */
const RUN_FAULTS: ReadonlySet<FailureCode> = new Set<FailureCode>(["CANCELLED", "INVALID_SPEC", "UNSUPPORTED", "ALREADY_EXISTS", "EXHAUSTED", "WRONG_STATE"]);

interface Kept {
  readonly template: Template;
  readonly place: BundlePlace;
  usedAtNs: bigint;
}

interface Wish {
  readonly driver: BoundaryDriver;
  readonly facet: TemplateFacet;
  readonly bundle: Bundle;
}

export class Templates {
  private readonly context: Context;
  private readonly options: TemplateOptions;
  private readonly availableMemory: () => number;
  /** By key; undefined until the driver's were looked for. */
  private readonly shelves = new Map<BoundaryDriver, Map<string, Kept>>();
  private readonly wishes = new Map<string, Wish>();
  /** Keys whose bake failed: not tried again by this daemon. */
  private readonly given = new Set<string>();
  private readonly stopping = new AbortController();
  private readonly background = new Set<Promise<void>>();
  private launching = 0;
  private launchedAtNs = 0n;
  private timer: (() => void) | undefined;
  private baking = false;

  constructor(context: Context, options: TemplateOptions, availableMemory: () => number = readAvailableMemory) {
    this.context = context;
    this.options = options;
    this.availableMemory = availableMemory;
  }

  /** As the driver's `launch`; from a template where there is one and nobody asked for a cold start. */
  async launch(driver: BoundaryDriver, bundle: Bundle, how: { readonly main: ProcessSpec; readonly cold: boolean }, call: Call): Promise<Sandbox> {
    const facet = this.options.enabled && !how.cold ? driver.templates : undefined;
    const key = facet?.keyOf(bundle);
    if (facet === undefined || key === undefined) return driver.launch(bundle, how.main, call);
    this.launching++;
    try {
      const kept = this.shelf(driver, facet).get(key);
      if (kept !== undefined) return await this.launchFrom(kept, { driver, facet, bundle }, how.main, call);
      const sandbox = await driver.launch(bundle, how.main, call);
      this.wish(key, { driver, facet, bundle });
      return sandbox;
    } finally {
      this.launching--;
      this.launchedAtNs = this.context.clock.nowNs();
    }
  }

  list(): readonly TemplateView[] {
    return [...this.shelves].flatMap(([{ kind }, shelf]) => [...shelf].map(([key, { template }]) => ({ kind, key, directory: template.directory })));
  }

  /** Removes them all; machines that began from them go on. */
  async clear(): Promise<void> {
    this.wishes.clear();
    for (const driver of this.context.drivers.values()) if (driver.templates !== undefined) this.shelf(driver, driver.templates);
    await Promise.all([...this.shelves].flatMap(([driver, shelf]) => [...shelf].map(([key, kept]) => this.remove(driver, key, kept))));
    await Promise.all(this.background);
  }

  async close(): Promise<void> {
    this.stopping.abort();
    this.timer?.();
    await Promise.all(this.background);
  }

  private async launchFrom(kept: Kept, { driver, facet, bundle }: Wish, main: ProcessSpec, call: Call): Promise<Sandbox> {
    kept.usedAtNs = this.context.clock.nowNs();
    const { key } = kept.template;
    let failure: Failure;
    try {
      return await facet.launch(kept.template, bundle, main, call);
    } catch (thrown) {
      failure = toFailure(thrown);
      if (call.signal.aborted || RUN_FAULTS.has(failure.code)) throw failure;
    }
    const sandbox = await driver.launch(bundle, main, call);
    this.context.log.warn(
      { workload: bundle.workload, key, failure: failure.toJSON() },
      "a template could not be begun from and is discarded; the workload was started cold",
    );
    this.announce("template-discarded", driver, key, { workload: bundle.workload, because: failure.message });
    this.inBackground(this.remove(driver, key, kept));
    return sandbox;
  }

  /** What earlier daemons left, looked for once the driver knows what it can begin from; the rest is removed. */
  private shelf(driver: BoundaryDriver, facet: TemplateFacet): Map<string, Kept> {
    const known = this.shelves.get(driver);
    if (known !== undefined) return known;
    const shelf = new Map<string, Kept>();
    this.shelves.set(driver, shelf);
    for (const name of listNames(this.directoryOf(driver))) {
      const place = this.placeOf(driver, name);
      const template = facet.find(place.directory);
      if (template === undefined || shelf.has(template.key)) this.inBackground(driver.remove(place, ownCall(this.context)));
      else shelf.set(template.key, { template, place, usedAtNs: 0n });
    }
    return shelf;
  }

  private directoryOf(driver: BoundaryDriver): string {
    return `${this.context.root}/templates/${driver.kind}`;
  }

  private placeOf(driver: BoundaryDriver, workload: string): BundlePlace {
    return { kind: driver.kind, workload, directory: `${this.directoryOf(driver)}/${workload}` };
  }

  private wish(key: string, wish: Wish): void {
    if (this.given.has(key) || this.stopping.signal.aborted) return;
    this.wishes.set(key, wish);
    this.arm();
  }

  private arm(): void {
    if (this.timer !== undefined || this.baking || this.wishes.size === 0 || this.stopping.signal.aborted) return;
    this.timer = this.context.clock.after(this.options.quietMs, () => {
      this.timer = undefined;
      const quiet = this.launching === 0 && this.context.clock.nowNs() - this.launchedAtNs >= BigInt(this.options.quietMs) * 1_000_000n;
      if (quiet && this.availableMemory() >= this.options.leastAvailableBytes) this.inBackground(this.bakeNext());
      else this.arm();
    });
  }

  private async bakeNext(): Promise<void> {
    const next = this.wishes.entries().next().value;
    if (next === undefined) return;
    const [key, { driver, facet, bundle }] = next;
    this.wishes.delete(key);
    const shelf = this.shelf(driver, facet);
    if (shelf.has(key)) return;
    const place = this.placeOf(driver, randomBytes(32).toString("hex"));
    this.baking = true;
    try {
      const template = await facet.bake(bundle, place, ownCall(this.context, this.stopping.signal));
      shelf.set(key, { template, place, usedAtNs: this.context.clock.nowNs() });
      this.context.log.info({ boundary: driver.kind, key }, "a template was made");
      this.announce("template-made", driver, key, {});
      await this.makeRoom(driver, shelf);
    } catch (thrown) {
      this.given.add(key);
      if (!this.stopping.signal.aborted) this.context.log.warn({ boundary: driver.kind, failure: toFailure(thrown).toJSON() }, "no template could be made");
      await driver.remove(place, ownCall(this.context));
    } finally {
      this.baking = false;
      this.arm();
    }
  }

  private async makeRoom(driver: BoundaryDriver, shelf: Map<string, Kept>): Promise<void> {
    const oldestFirst = [...shelf].sort(([, one], [, other]) => (one.usedAtNs < other.usedAtNs ? -1 : 1));
    for (const [key, kept] of oldestFirst.slice(0, Math.max(0, shelf.size - this.options.limit))) await this.remove(driver, key, kept);
  }

  private async remove(driver: BoundaryDriver, key: string, kept: Kept): Promise<void> {
    const shelf = this.shelves.get(driver);
    if (shelf?.get(key) === kept) shelf.delete(key);
    await driver.remove(kept.place, ownCall(this.context));
  }

  private announce(name: string, driver: BoundaryDriver, key: string, attributes: Readonly<Record<string, string>>): void {
    this.context.events.announce({ kind: "daemon", name, subject: key, attributes: { boundary: driver.kind, ...attributes } });
  }

  private inBackground(work: Promise<void>): void {
    const done = work.catch((thrown: unknown) => this.context.log.warn({ failure: toFailure(thrown).toJSON() }, "a template could not be made or removed"));
    this.background.add(done);
    void done.finally(() => this.background.delete(done));
  }
}
