/** The small init of `--init`: a static program of the host's that is shown inside. */

import type { BoundaryKind } from "../../contract/boundary.ts";
import { Failure } from "../../contract/failure.ts";
import type { SandboxSpec } from "../../contract/spec.ts";
import { findStaticProgram } from "../../host/static-program.ts";

const INIT_PROGRAMS = ["/usr/bin/tini-static", "/usr/bin/docker-init", "/usr/libexec/docker/docker-init", "/usr/sbin/tini", "/sbin/docker-init"];

/** Rejects UNSUPPORTED where this host has none. */
export function findInit(spec: SandboxSpec, boundary: BoundaryKind): string {
  const init = findStaticProgram(INIT_PROGRAMS);
  if (init !== undefined) return init;
  throw new Failure("UNSUPPORTED", "There is no static init program on this host for --init", {
    workload: spec.workload,
    boundary,
    remedy: "Install one (apt-get install tini), or run without --init",
  });
}
