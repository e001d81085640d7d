/** `GET /containers/{id}/json`: everything that clients read of a container, and the boundary that Docker has no word for. */

import type { MountView, WorkloadView } from "../../engine/index.ts";
import type { ImageView } from "../../images/index.ts";
import type { Route } from "../router.ts";
import { networkSettings } from "./container-network.ts";
import { isStanding, stateJson } from "./container-state.ts";
import { echoOf, echoPart } from "./echo.ts";
import { defaultHostConfig } from "./host-config.ts";
import type { DockerParts } from "./parts.ts";
import { present } from "./present.ts";

export function inspectRoutes(parts: DockerParts): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/containers/{id}/json",
      async handle(exchange) {
        const view = parts.engine.inspect(exchange.parameter("id"));
        const size = exchange.query.flag("size") ? (await parts.engine.diskUse([view.id], exchange.call)).get(view.id) : undefined;
        exchange.json(200, inspectJson(parts, view, size));
      },
    },
  ];
}

export function inspectJson(parts: DockerParts, view: WorkloadView, sizeBytes: number | undefined): object {
  const image = imageOf(parts, view);
  const [path = "", ...rest] = view.process.command;
  return {
    Id: view.id,
    Created: view.createdAt,
    Path: path,
    Args: rest,
    State: stateJson(view),
    Image: view.imageId,
    ResolvConfPath: "",
    HostnamePath: "",
    HostsPath: "",
    LogPath: view.logPath ?? "",
    Name: `/${view.name}`,
    RestartCount: view.restartCount,
    Driver: "overlay2",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: view.request.security.appArmor ?? "",
    ExecIDs: isStanding(view) && view.execs.length > 0 ? view.execs : null,
    HostConfig: hostConfig(parts, view),
    GraphDriver: { Name: "overlay2", Data: {} },
    ...sizeJson(sizeBytes, image?.sizeBytes),
    Mounts: view.mounts.map(mountJson),
    Config: configJson(view, image),
    NetworkSettings: networkSettings(view, parts.networks, exposedPorts(view, image)),
    Boundary: boundaryJson(view),
  };
}

/** The fields that every inspect carries: kind, engine, version, emulated, traits; of machines that have come up, how; what it stands in for. */
export function boundaryJson(view: WorkloadView): object {
  const { kind, engine, version, emulated, traits, start } = view.boundary;
  return { kind, engine, version, emulated, traits, ...present({ start, insteadOf: view.request.insteadOf }) };
}

/** The image may have been taken from the store by force: a workload is shown without it. */
export function imageOf(parts: Pick<DockerParts, "images">, view: WorkloadView): ImageView | undefined {
  try {
    return parts.images.get(view.imageId);
  } catch {
    return undefined;
  }
}

export function exposedPorts(view: WorkloadView, image: ImageView | undefined): readonly string[] {
  const asked = view.request.exposedPorts.map(({ port, protocol }) => `${port}/${protocol}`);
  const published = view.request.ports.map(({ workloadPort, protocol }) => `${workloadPort}/${protocol}`);
  return [...new Set([...asked, ...published, ...(image?.configuration.exposedPorts ?? [])])];
}

/** What was asked for over what Docker would show where nothing was. */
function hostConfig(parts: DockerParts, view: WorkloadView): object {
  const echo = echoPart(view.request.adapter, "HostConfig");
  const { restart, autoRemove, log } = view.request;
  const logOptions = {
    ...(log.maxBytes === undefined ? {} : { "max-size": String(log.maxBytes) }),
    ...(log.maxFiles === undefined ? {} : { "max-file": String(log.maxFiles) }),
  };
  return {
    ...defaultHostConfig,
    ...echo,
    NetworkMode: view.networkName,
    RestartPolicy: { Name: restart.name, MaximumRetryCount: restart.maximumRetries },
    AutoRemove: autoRemove,
    // As it was written where a client wrote it; a workload that another door made has its numbers.
    LogConfig: { Type: log.driver, Config: { ...logOptions, ...(echo["LogConfig"] as { readonly Config?: object } | undefined)?.Config } },
    Runtime: view.boundary.kind,
    Isolation: view.request.isolation ?? parts.engine.defaultIsolation,
    ...limitsJson(view),
  };
}

/** Limits change while a workload lives: they are read from it, not from what was sent at first. */
function limitsJson(view: WorkloadView): object {
  const { limits } = view.request;
  return {
    Memory: limits.memoryBytes ?? 0,
    MemorySwap: limits.memorySwapBytes ?? 0,
    MemorySwappiness: null,
    MemoryReservation: limits.memoryReservationBytes ?? 0,
    NanoCpus: Math.round((limits.cpus ?? 0) * 1e9),
    CpuShares: limits.cpuShares ?? 0,
    CpusetCpus: limits.cpuset ?? "",
    PidsLimit: limits.pids ?? null,
    OomScoreAdj: limits.oomScoreAdjust ?? 0,
  };
}

function configJson(view: WorkloadView, image: ImageView | undefined): object {
  const { request } = view;
  const echo = echoOf(request.adapter);
  const configuration = image?.configuration;
  const ports = exposedPorts(view, image);
  const volumes = [...Object.keys((echo.Volumes as object | undefined) ?? {}), ...(configuration?.volumes ?? [])];
  const entrypoint = request.entrypoint ?? configuration?.entrypoint ?? [];
  // An entry point of the caller's own takes the image's command away with it.
  const command = request.command ?? (request.entrypoint === undefined ? configuration?.command : undefined) ?? [];
  return {
    Hostname: view.hostname,
    Domainname: request.domainName ?? "",
    User: view.process.user,
    AttachStdin: echo.AttachStdin === true,
    AttachStdout: echo.AttachStdout === true,
    AttachStderr: echo.AttachStderr === true,
    ...(ports.length === 0 ? {} : { ExposedPorts: emptyObjects(ports) }),
    Tty: request.terminal,
    OpenStdin: request.stdin,
    StdinOnce: request.stdinOnce,
    Env: view.process.environment,
    Cmd: command.length === 0 ? null : command,
    ...(echo.Healthcheck === undefined ? {} : { Healthcheck: echo.Healthcheck }),
    Image: request.image,
    Volumes: volumes.length === 0 ? null : emptyObjects(volumes),
    WorkingDir: view.process.workingDirectory === "/" ? (request.workingDirectory ?? "") : view.process.workingDirectory,
    Entrypoint: entrypoint.length === 0 ? null : entrypoint,
    OnBuild: null,
    Labels: view.labels,
    ...(request.stopSignal === undefined ? {} : { StopSignal: request.stopSignal }),
    ...(request.stopTimeoutSeconds === undefined ? {} : { StopTimeout: request.stopTimeoutSeconds }),
  };
}

function emptyObjects(names: readonly string[]): Readonly<Record<string, object>> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}

export function mountJson(mount: MountView): object {
  const named = mount.kind === "volume";
  return {
    Type: mount.kind,
    ...(named ? { Name: mount.volume ?? "" } : {}),
    Source: mount.kind === "tmpfs" ? "" : mount.source,
    Destination: mount.target,
    ...(named ? { Driver: "local" } : {}),
    Mode: "",
    RW: !mount.readOnly,
    Propagation: mount.kind === "bind" ? "rprivate" : "",
  };
}

/** What it wrote, and that together with its image; nothing where it was not asked for. */
export function sizeJson(sizeBytes: number | undefined, imageBytes = 0): object {
  return sizeBytes === undefined ? {} : { SizeRw: sizeBytes, SizeRootFs: sizeBytes + imageBytes };
}
