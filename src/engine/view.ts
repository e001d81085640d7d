/** A workload as callers see it. Pure. */

import type { WorkloadView } from "./index.ts";
import { logSpec } from "./sandbox-spec.ts";
import type { Workload } from "./workload.ts";

export function viewWorkload(workload: Workload, directory: string): WorkloadView {
  const { record, run } = workload;
  const { command, environment, workingDirectory, user } = record.main;
  const log = logSpec(record, directory);
  return {
    id: record.id,
    name: record.name,
    request: record.request,
    imageId: record.imageId,
    boundary: record.boundary,
    process: { command, environment, workingDirectory, user },
    labels: record.labels,
    hostname: record.hostname,
    state: record.state,
    createdAt: record.createdAt,
    startedAt: record.startedAt,
    finishedAt: workload.isUp ? undefined : record.finishedAt,
    exit: record.exit,
    error: record.error,
    hostPid: workload.isUp ? run?.sandbox.main.hostPid : undefined,
    restartCount: record.restartCount,
    health: workload.isUp ? workload.health : "none",
    // What a launch ahead has reserved is nobody's business until it runs.
    network: workload.isUp || record.state === "restarting" ? record.network : undefined,
    networkName: record.request.network,
    mounts: record.mountViews,
    logPath: log.kind === "none" ? undefined : log.path,
    execs: [...workload.execs],
  };
}
