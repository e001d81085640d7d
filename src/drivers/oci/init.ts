/** The small init of `--init`: a static program of ours that is shown inside. */

import type { BoundaryKind } from "../../contract/boundary.ts";
import { Failure } from "../../contract/failure.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { findStaticProgram } from "../../host/static-program.ts";

/** Rejects UNSUPPORTED where this host has none. */
export function findInit(spec: SandboxSpec, boundary: BoundaryKind, programs: readonly string[]): string {
  const init = findStaticProgram(programs);
  if (init !== undefined) return init;
  throw new Failure("UNSUPPORTED", "The init program for --init, bulkhead-init, is not there", {
    workload: spec.workload,
    boundary,
    remedy: "npm run build, or run without --init",
  });
}
