/** The advisor's view of this host: what the probes found, and what `bulkhead compare` last measured, kept in the state. */

import { availableParallelism, totalmem } from "node:os";
import type { Architecture, Host, HostBoundary, Measurements } from "../advisor/index.ts";
import type { AdviceSource } from "../api/index.ts";
import { BOUNDARY_KINDS, type BoundaryKind } from "../contract/boundary.ts";
import type { ProbeReport } from "../contract/driver.ts";
import type { Engine } from "../engine/index.ts";
import { readHostFacts } from "../host/host-facts.ts";
import { readMachineFeatures } from "../host/machine-features.ts";
import type { StateStore } from "../state/index.ts";

const LAST = "last";

export function createAdviceSource(engine: Engine, state: StateStore): AdviceSource {
  const kept = state.collection<Measurements>("measurements");
  return {
    async describeHost(call) {
      const reports = await engine.probe(undefined, { fresh: false }, call);
      const { architecture, kernelRelease } = readHostFacts();
      const features = readMachineFeatures();
      const boundaries = Object.fromEntries(BOUNDARY_KINDS.map((kind) => [kind, describeBoundary(reports.find((report) => report.kind === kind))])) as Record<
        BoundaryKind,
        HostBoundary
      >;
      const virtualises = Object.values(reports).some((report) => report.usable && report.identity?.traits.includes("hardware-enforced") === true);
      return {
        architecture: architecture as Architecture,
        kernel: kernelRelease,
        memoryBytes: totalmem(),
        processors: availableParallelism(),
        boundaries,
        confidential: features.confidential && virtualises,
        gpu: features.gpu,
        realtime: features.realtime,
        nestedVirtualisation: features.nestedVirtualisation && virtualises,
        allowEmulated: false,
        assumed: {},
        unmeasured: [],
      } satisfies Host;
    },
    readMeasurements: () => kept.get(LAST),
    keepMeasurements: (measurements) => kept.put(LAST, measurements),
  };
}

function describeBoundary(report: ProbeReport | undefined): HostBoundary {
  if (report === undefined) return { usable: false, engine: "", version: "", emulated: false, because: "this version of Bulkhead has no driver for it" };
  const missing = report.findings.find(({ level }) => level === "missing");
  return {
    usable: report.usable,
    engine: report.identity?.engine ?? "",
    version: report.identity?.version ?? "",
    emulated: report.identity?.emulated ?? false,
    ...(report.usable || missing === undefined ? {} : { because: missing.what, ...(missing.remedy === undefined ? {} : { remedy: missing.remedy }) }),
  };
}
