/** `/_ping`, `/version`, `/info`, `/system/df`. */

import type { ServerResponse } from "node:http";
import { arch, cpus, hostname, release, totalmem } from "node:os";
import { BOUNDARY_KINDS } from "../../contract/boundary.ts";
import type { Call } from "../../contract/call.ts";
import type { Route } from "../router.ts";
import { API_VERSION, MIN_API_VERSION } from "./api-version.ts";
import { diskUseOf, summaryJson } from "./container-list.ts";
import { imageSummary, sharedBytes } from "./images.ts";
import type { DockerParts } from "./parts.ts";
import { volumeJson } from "./volumes.ts";

export function systemRoutes(parts: DockerParts): readonly Route[] {
  const version = versionJson(parts);
  return [
    // Touches nothing and tells what every answer's headers tell: clients ask it first, and often.
    { method: "GET", path: "/_ping", authorizedBy: "nobody", handle: (exchange) => ping(exchange.response, "OK") },
    { method: "HEAD", path: "/_ping", authorizedBy: "nobody", handle: (exchange) => ping(exchange.response, "") },
    { method: "GET", path: "/version", handle: (exchange) => exchange.json(200, version) },
    { method: "GET", path: "/info", handle: async (exchange) => exchange.json(200, await infoJson(parts, exchange.call)) },
    {
      method: "GET",
      path: "/system/df",
      async handle(exchange) {
        const images = parts.images.list();
        const shared = sharedBytes(images);
        const [views, volumes] = [parts.engine.list(), parts.volumes.list()];
        const sizes = await diskUseOf(parts, views, exchange.call);
        const volumeSizes = await parts.volumes.diskUse(
          volumes.map(({ name }) => name),
          exchange.call,
        );
        exchange.json(200, {
          LayersSize: images.reduce((total, image) => total + image.sizeBytes, 0),
          Images: images.map((image, at) => imageSummary(parts, image, shared[at])),
          Containers: views.map((view) => summaryJson(parts, view, sizes)),
          Volumes: volumes.map((volume, at) => ({
            ...volumeJson(volume),
            UsageData: { Size: volumeSizes[at] ?? 0, RefCount: holders(parts, volume.name) },
          })),
          BuildCache: [],
        });
      },
    },
  ];
}

function ping(response: ServerResponse, body: string): void {
  response.writeHead(200, {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Length": body.length,
    "Cache-Control": "no-cache, no-store, must-revalidate",
    Pragma: "no-cache",
  });
  response.end(body);
}

function holders(parts: DockerParts, volume: string): number {
  return parts.engine.list().filter((view) => view.mounts.some((mount) => mount.volume === volume)).length;
}

/** Architectures in Go's words. */
const GO_ARCH: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" };
/** And in the kernel's. */
const MACHINE: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

function versionJson({ server }: DockerParts): object {
  const common = {
    ApiVersion: API_VERSION,
    MinAPIVersion: MIN_API_VERSION,
    GitCommit: server.commit,
    GoVersion: `node ${process.versions.node}`,
    Os: "linux",
    Arch: GO_ARCH[arch()] ?? arch(),
    KernelVersion: release(),
    BuildTime: "",
  };
  return {
    Platform: { Name: "Bulkhead" },
    Components: [{ Name: "Engine", Version: server.version, Details: { ...common, Experimental: "false" } }],
    Version: server.version,
    ...common,
  };
}

/** How long `info` waits for probes that have not been made yet; a boot under emulation takes longer. */
const PROBE_PATIENCE_MS = 250;

async function infoJson(parts: DockerParts, call: Call): Promise<object> {
  const { engine, server } = parts;
  const views = engine.list();
  const count = (...states: readonly string[]) => views.filter((view) => states.includes(view.state)).length;
  const runtimes = await usableBoundaries(parts, call);
  return {
    ID: server.id,
    Containers: views.length,
    ContainersRunning: count("running", "restarting"),
    ContainersPaused: count("paused"),
    ContainersStopped: count("created", "exited", "dead", "removing"),
    Images: parts.images.list().length,
    Driver: "overlay2",
    DriverStatus: [["Backing Filesystem", "overlay"]],
    Plugins: { Volume: ["local"], Network: ["bridge", "host", "null"], Authorization: null, Log: ["json-file", "none"] },
    MemoryLimit: true,
    SwapLimit: true,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: true,
    Debug: false,
    NFd: -1,
    OomKillDisable: false,
    NGoroutines: -1,
    SystemTime: new Date(parts.now()).toISOString(),
    LoggingDriver: "json-file",
    CgroupDriver: "cgroupfs",
    CgroupVersion: server.cgroup.slice(1),
    NEventsListener: -1,
    KernelVersion: release(),
    OperatingSystem: "Bulkhead",
    OSVersion: "",
    OSType: "linux",
    Architecture: MACHINE[arch()] ?? arch(),
    IndexServerAddress: "https://index.docker.io/v1/",
    RegistryConfig: { IndexConfigs: {}, InsecureRegistryCIDRs: ["127.0.0.0/8", "::1/128"], Mirrors: null, InsecureRegistries: server.insecureRegistries },
    NCPU: cpus().length,
    MemTotal: totalmem(),
    GenericResources: null,
    DockerRootDir: server.rootDirectory,
    HttpProxy: "",
    HttpsProxy: "",
    NoProxy: "",
    Name: hostname(),
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: server.version,
    Runtimes: Object.fromEntries(runtimes.map((kind) => [kind, { path: "bulkhead" }])),
    DefaultRuntime: engine.defaultIsolation,
    Swarm: { NodeID: "", NodeAddr: "", LocalNodeState: "inactive", ControlAvailable: false, Error: "", RemoteManagers: null },
    LiveRestoreEnabled: true,
    Isolation: engine.defaultIsolation,
    InitBinary: "bulkhead-supervisor",
    ContainerdCommit: { ID: "" },
    RuncCommit: { ID: "" },
    InitCommit: { ID: "" },
    SecurityOptions: ["name=seccomp,profile=builtin"],
    CDISpecDirs: [],
    Warnings: [],
  };
}

/** In the order of the contract's table; the default alone while the others are still being found out. */
async function usableBoundaries({ engine }: DockerParts, call: Call): Promise<readonly string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), PROBE_PATIENCE_MS);
  });
  const reports = await Promise.race([engine.probe(undefined, { fresh: false }, call).catch(() => undefined), late]);
  clearTimeout(timer);
  const usable = new Set((reports ?? []).filter((report) => report.usable).map((report) => report.kind));
  return BOUNDARY_KINDS.filter((kind) => usable.has(kind) || kind === engine.defaultIsolation);
}
