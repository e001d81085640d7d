/**
 * The machine beneath the fake driver. It is shared between drivers, so that a test can throw one away as SIGKILL throws a
 * daemon away, and make another that finds what still stands.
 */

import { existsSync, mkdirSync, rmSync } from "node:fs";
import { Failure } from "../failure.ts";
import type { EndReason } from "../sandbox.ts";
import { freshRoot, type FakeTree } from "./fake-files.ts";
import type { FakeSupervisor } from "./fake-supervisor.ts";

/** The places where the fake can be told to fail, to hang, or to have its daemon die. */
export type FakeStep =
  | "probe"
  | "prepare"
  | "launch"
  | "bake"
  | "launch-template"
  | "start"
  | "attach"
  | "exec"
  | "signal"
  | "pause"
  | "resume"
  | "end"
  | "stats"
  | "top"
  | "update"
  | "files-stat"
  | "files-read"
  | "files-write"
  | "adopt"
  | "remove";

export type FakeFault =
  | { readonly act: "fail"; readonly failure: Failure }
  /** Waits until the gate is open, then fails with what `failure` gives, and goes on where it gives nothing. */
  | { readonly act: "wait"; readonly open: Promise<void>; readonly failure: () => Failure | undefined }
  /** Never answers; an aborted call rejects CANCELLED. */
  | { readonly act: "hang" }
  /** The daemon dies before or after the effect: nothing answers any more. */
  | { readonly act: "die"; readonly when: "before" | "after" };

interface Place {
  readonly root: FakeTree;
  prepared: boolean;
  /** Where a template lies. */
  template?: "whole" | "damaged";
  record: { readonly reason: EndReason; readonly started: boolean } | undefined;
}

export interface FakeHostOptions {
  /** Starts a timer and gives its cancellation; the real clock when absent. */
  readonly after?: (ms: number, act: () => void) => () => void;
}

export class FakeHost {
  readonly standing = new Map<string, FakeSupervisor>();
  readonly places = new Map<string, Place>();
  /** Every step that was carried out, as `launch 1a2b…`. */
  readonly journal: string[] = [];
  readonly after: (ms: number, act: () => void) => () => void;
  private readonly faults = new Map<FakeStep, FakeFault[]>();
  private ticks = 0;

  constructor(options: FakeHostOptions = {}) {
    this.after =
      options.after ??
      ((ms, act) => {
        const timer = setTimeout(act, Math.min(ms, 2 ** 31 - 1));
        return () => clearTimeout(timer);
      });
  }

  /** The next time that `step` is reached, this happens in its place. */
  expect(step: FakeStep, fault: FakeFault): void {
    this.faults.set(step, [...(this.faults.get(step) ?? []), fault]);
  }

  failNext(step: FakeStep, failure = new Failure("INTERNAL", `the fake was told to fail at ${step}`)): void {
    this.expect(step, { act: "fail", failure });
  }

  /** Whether a fault that was ordered is still to come. */
  isExpected(step: FakeStep): boolean {
    return (this.faults.get(step)?.length ?? 0) > 0;
  }

  forgetFaults(): void {
    this.faults.clear();
  }

  takeFault(step: FakeStep): FakeFault | undefined {
    return this.faults.get(step)?.shift();
  }

  now(): string {
    const nanoseconds = BigInt(Date.now()) * 1_000_000n + BigInt(this.ticks++ % 1_000_000);
    const text = new Date(Number(nanoseconds / 1_000_000n)).toISOString();
    return `${text.slice(0, -1)}${String(nanoseconds % 1_000_000n).padStart(6, "0")}Z`;
  }

  tick(): number {
    return (this.ticks += 1000);
  }

  place(directory: string): Place {
    let place = this.places.get(directory);
    if (place === undefined) this.places.set(directory, (place = { root: freshRoot(), prepared: false, record: undefined }));
    return place;
  }

  rootOf(directory: string): FakeTree {
    return this.place(directory).root;
  }

  supervisorEnded(directory: string, reason: EndReason, started: boolean): void {
    this.standing.delete(directory);
    const place = this.places.get(directory);
    if (place !== undefined) place.record = { reason, started };
  }

  /** As something on the host's disk of which the fake knows nothing. */
  makeDirectory(directory: string): void {
    mkdirSync(directory, { recursive: true });
  }

  isThere(directory: string): boolean {
    return existsSync(directory);
  }

  clear(directory: string): void {
    this.places.delete(directory);
    rmSync(directory, { recursive: true, force: true });
  }

  /** What a leak check compares. */
  snapshot(): { readonly standing: readonly string[]; readonly places: readonly string[] } {
    return { standing: [...this.standing.keys()].sort(), places: [...this.places.keys()].sort() };
  }
}
