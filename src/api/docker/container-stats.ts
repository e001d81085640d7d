/** `GET /containers/{id}/stats` and `/top`. */

import { cpus, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { Failure, toFailure } from "../../contract/failure.ts";
import type { ResourceUse } from "../../contract/sandbox.ts";
import type { WorkloadView } from "../../engine/index.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../router.ts";
import { isStanding, NEVER } from "./container-state.ts";
import type { DockerParts } from "./parts.ts";

const INTERVAL_MS = 1000;

export function statsRoutes(parts: DockerParts): readonly Route[] {
  return [
    { method: "GET", path: "/containers/{id}/stats", handle: (exchange) => stats(parts, exchange) },
    {
      method: "GET",
      path: "/containers/{id}/top",
      async handle(exchange) {
        const { titles, rows } = await parts.engine.top(exchange.parameter("id"), exchange.call);
        exchange.json(200, { Titles: titles, Processes: rows });
      },
    },
  ];
}

/** One reading, and the host's processor time beside it: clients divide the one's growth by the other's. */
interface Sample {
  readonly use: ResourceUse;
  readonly hostCpuNs: number;
}

async function stats(parts: DockerParts, exchange: Exchange): Promise<void> {
  const { query, call } = exchange;
  const view = parts.engine.inspect(exchange.parameter("id"));
  const stream = query.flag("stream", true);
  if (!isStanding(view)) {
    // Docker answers for a stopped container with nothing but its name.
    exchange.json(200, sampleJson(view, undefined, undefined));
    return;
  }
  let before = query.flag("one-shot") ? undefined : await sample(parts, view, exchange).catch(noneOfEnded);
  if (!stream) {
    if (before !== undefined) await sleep(INTERVAL_MS, undefined, { signal: call.signal });
    exchange.json(200, sampleJson(view, await sample(parts, view, exchange).catch(noneOfEnded), before));
    return;
  }
  exchange.begin(200, "application/json");
  try {
    for (;;) {
      const now = await sample(parts, view, exchange);
      await exchange.write(`${JSON.stringify(sampleJson(parts.engine.inspect(view.id), now, before))}\n`);
      before = now;
      await sleep(INTERVAL_MS, undefined, { signal: call.signal });
    }
  } catch (thrown) {
    const over = thrown instanceof Failure && (thrown.code === "NOT_FOUND" || thrown.code === "WRONG_STATE");
    if (!over && !call.signal.aborted) parts.log.warn({ err: thrown, workload: view.id }, "stats ended");
  }
  exchange.response.end();
}

async function sample(parts: DockerParts, view: WorkloadView, { call }: Exchange): Promise<Sample> {
  return { use: await parts.engine.stats(view.id, call), hostCpuNs: hostCpuNs() };
}

/** One that ended while it was asked is answered like one that had ended before. */
function noneOfEnded(thrown: unknown): undefined {
  if (toFailure(thrown).code !== "WRONG_STATE") throw thrown;
}

/** Processor time of the whole host, idle included, in nanoseconds: Docker's `system_cpu_usage`. */
function hostCpuNs(): number {
  let milliseconds = 0;
  for (const { times } of cpus()) milliseconds += times.user + times.nice + times.sys + times.idle + times.irq;
  return milliseconds * 1e6;
}

function sampleJson(view: WorkloadView, now: Sample | undefined, before: Sample | undefined): object {
  const use = now?.use;
  return {
    name: `/${view.name}`,
    id: view.id,
    read: use?.at ?? NEVER,
    preread: before?.use.at ?? NEVER,
    num_procs: 0,
    pids_stats: use === undefined ? {} : { current: use.pids, ...(use.pidsLimit > 0 ? { limit: use.pidsLimit } : {}) },
    blkio_stats: {
      io_service_bytes_recursive:
        use === undefined
          ? null
          : [
              { major: 0, minor: 0, op: "read", value: use.diskReadBytes },
              { major: 0, minor: 0, op: "write", value: use.diskWriteBytes },
            ],
      io_serviced_recursive: null,
      io_queue_recursive: null,
      io_service_time_recursive: null,
      io_wait_time_recursive: null,
      io_merged_recursive: null,
      io_time_recursive: null,
      sectors_recursive: null,
    },
    storage_stats: {},
    cpu_stats: cpuJson(now),
    precpu_stats: cpuJson(before),
    memory_stats: use === undefined ? {} : memoryJson(use),
    ...(use === undefined || view.network?.kind !== "bridge" ? {} : { networks: { [view.network.interfaceName]: networkJson(use) } }),
  };
}

function cpuJson(sampled: Sample | undefined): object {
  const use = sampled?.use;
  return {
    cpu_usage: { total_usage: use?.cpuTotalNs ?? 0, usage_in_kernelmode: use?.cpuSystemNs ?? 0, usage_in_usermode: use?.cpuUserNs ?? 0 },
    ...(sampled === undefined ? {} : { system_cpu_usage: sampled.hostCpuNs, online_cpus: cpus().length }),
    throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
  };
}

function memoryJson(use: ResourceUse): object {
  return {
    usage: use.memoryBytes,
    limit: use.memoryLimitBytes > 0 ? use.memoryLimitBytes : totalmem(),
    failcnt: use.outOfMemoryKills,
    stats: { inactive_file: use.memoryInactiveFileBytes, total_inactive_file: use.memoryInactiveFileBytes },
  };
}

function networkJson(use: ResourceUse): object {
  return {
    rx_bytes: use.networkReceivedBytes,
    rx_packets: use.networkReceivedPackets,
    rx_errors: 0,
    rx_dropped: 0,
    tx_bytes: use.networkSentBytes,
    tx_packets: use.networkSentPackets,
    tx_errors: 0,
    tx_dropped: 0,
  };
}
