/**
 * What Docker's API knows and we do not carry out: refused where leaving it out would change what the workload is or may
 * do, warned about where it would only tune it, and left alone on purpose where it means nothing here. `docs/docker-api.md`
 * lists the same; a field that stands in none of the lists and says something is warned about by name.
 */

import { Failure, quote } from "../../contract/failure.ts";
import type { CreateBody, HostConfigBody } from "./create-shape.ts";
import { compact } from "./echo.ts";
import { createFields, findUnknownParts, hostConfigFields } from "./create-shape.ts";

/** Field of HostConfig → what to do instead. */
const REFUSED: Readonly<Record<string, string>> = {
  VolumesFrom: "Name the volumes with --volume.",
  Links: "Join a network that both share.",
  DeviceCgroupRules: "Name the devices with --device.",
  DeviceRequests: "GPUs cannot be given to workloads yet.",
  CpuRealtimePeriod: "Leave --cpu-rt-period out.",
  CpuRealtimeRuntime: "Leave --cpu-rt-runtime out.",
  CgroupParent: "Leave --cgroup-parent out: cgroups are the daemon's.",
};

/** Told to the client as a warning, as Docker does for what a kernel lacks. */
const WARNED = new Set([
  "BlkioWeight",
  "BlkioWeightDevice",
  "BlkioDeviceReadBps",
  "BlkioDeviceWriteBps",
  "BlkioDeviceReadIOps",
  "BlkioDeviceWriteIOps",
  "CpusetMems",
  "KernelMemory",
  "KernelMemoryTCP",
  "MemorySwappiness",
  "OomKillDisable",
  "CpuCount",
  "CpuPercent",
  "IOMaximumIOps",
  "IOMaximumBandwidth",
  "Annotations",
]);

/** Ignored on purpose: the client's own business, or Windows'. */
const MEANINGLESS = new Set(["ContainerIDFile", "ArgsEscaped", "OnBuild", "Shell", "Cgroup"]);
/** Read elsewhere, part by part. */
const NESTED = new Set(["HostConfig", "NetworkingConfig"]);

/** The lists, for the document that repeats them. */
export const refused: readonly string[] = Object.keys(REFUSED);
export const warned: readonly string[] = [...WARNED];
export const ignored: readonly string[] = [...MEANINGLESS];
export const handled: readonly string[] = [...createFields, ...hostConfigFields].filter((name) => !NESTED.has(name));

/** Rejects UNSUPPORTED or INVALID_SPEC; gives the warnings for what is left out. */
export function refuseWhatCannotBe(body: CreateBody, host: HostConfigBody): string[] {
  if (host.VolumeDriver && host.VolumeDriver !== "local") {
    throw new Failure("UNSUPPORTED", `volume driver ${quote(host.VolumeDriver)} is not available`, { remedy: "Use the driver local." });
  }
  for (const name of Object.keys(host.Annotations ?? {})) {
    if (name.startsWith("run.oci.")) throw new Failure("INVALID_SPEC", `annotation ${quote(name)} speaks to the runtime and cannot be given`);
  }
  const warnings: string[] = [];
  for (const [name, value] of Object.entries(compact(host))) {
    const remedy = REFUSED[name];
    if (remedy !== undefined) throw new Failure("UNSUPPORTED", `HostConfig.${name} is not carried out`, { remedy });
    // -1 is the client's way to say nothing about swappiness.
    if (name === "MemorySwappiness" && value === -1) continue;
    if (WARNED.has(name) || (!hostConfigFields.has(name) && !MEANINGLESS.has(name))) warnings.push(`HostConfig.${name} is not carried out.`);
  }
  for (const name of Object.keys(compact(body))) {
    if (!createFields.has(name) && !MEANINGLESS.has(name) && !NESTED.has(name)) warnings.push(`Config.${quote(name)} is not carried out.`);
  }
  warnings.push(...findUnknownParts(body).map((place) => `${quote(place)} is not carried out.`));
  return warnings;
}
