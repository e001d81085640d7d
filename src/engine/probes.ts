/** What the drivers found out about this host: asked once and remembered; what was missing is asked again soon. */

import type { BoundaryKind } from "../contract/boundary.ts";
import type { Call } from "../contract/call.ts";
import type { BoundaryDriver, ProbeReport } from "../contract/driver.ts";
import { Failure } from "../contract/failure.ts";
import type { Clock } from "./clock.ts";

/** A boundary that was missing may have been mended meanwhile: its report is believed for so long. */
const MISSING_IS_BELIEVED_NS = 5_000_000_000n;

export class Probes {
  private readonly clock: Clock;
  private readonly reports = new Map<BoundaryKind, { readonly report: Promise<ProbeReport>; known: ProbeReport | undefined; atNs: bigint }>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  async ask(driver: BoundaryDriver, fresh: boolean, call: Call): Promise<ProbeReport> {
    const cached = this.reports.get(driver.kind);
    const stale = cached?.known !== undefined && !cached.known.usable && this.clock.nowNs() - cached.atNs > MISSING_IS_BELIEVED_NS;
    if (cached !== undefined && !fresh && !stale) return cached.report;
    const report = driver.probe(call);
    const entry = { report, known: undefined as ProbeReport | undefined, atNs: this.clock.nowNs() };
    this.reports.set(driver.kind, entry);
    report.then(
      (known) => {
        entry.known = known;
        entry.atNs = this.clock.nowNs();
      },
      () => {
        if (this.reports.get(driver.kind) === entry) this.reports.delete(driver.kind);
      },
    );
    return report;
  }

  /** The report of a boundary that can carry a workload now; else UNAVAILABLE with the finding and its remedy. Never another boundary. */
  async demand(driver: BoundaryDriver, call: Call): Promise<ProbeReport & { readonly identity: NonNullable<ProbeReport["identity"]> }> {
    const known = this.reports.get(driver.kind)?.known;
    // Whoever asks for a run does not cancel the probe of those who wait with it.
    const report = known?.usable ? known : await this.ask(driver, false, { ...call, signal: new AbortController().signal });
    if (report.usable && report.identity !== undefined) return { ...report, identity: report.identity };
    const finding = report.findings.find(({ level }) => level === "missing") ?? report.findings[0];
    throw new Failure("UNAVAILABLE", `this host cannot run the boundary ${driver.kind}: ${finding?.what ?? "the probe did not say why"}`, {
      boundary: driver.kind,
      remedy: finding?.remedy ?? "Run `bulkhead doctor`.",
    });
  }
}
