/** Mount requests and an image's volumes, resolved to what a driver can carry out. */

import type { Call } from "../contract/call.ts";
import type { MountSpec } from "../contract/spec.ts";
import type { Volumes } from "../volumes/index.ts";
import type { MountRequest, MountView } from "./index.ts";

export interface ResolvedMounts {
  /** Parents before what lies in them. */
  readonly mounts: readonly MountSpec[];
  readonly views: readonly MountView[];
}

/**
 * Makes the volumes that are named or implied, and holds them for the workload. An image's volume becomes an anonymous one
 * unless the caller mounts something at or above it.
 */
export async function resolveMounts(
  volumes: Volumes,
  holder: string,
  wanted: {
    readonly requests: readonly MountRequest[];
    readonly imageVolumes: readonly string[];
    /** The image's layers, uppermost first: asked for only where a volume may be filled from them. */
    readonly layers: () => Promise<readonly string[]>;
  },
  call: Call,
): Promise<ResolvedMounts> {
  const taken = new Set(wanted.requests.map(({ target }) => clean(target)));
  const implied = wanted.imageVolumes
    .map(clean)
    .filter((target) => target !== "" && !taken.has(target))
    .map((target): MountRequest => ({ kind: "volume", name: "", target, readOnly: false, copyUp: true }));
  const resolved: { readonly spec: MountSpec; readonly view: MountView }[] = [];
  for (const request of [...wanted.requests, ...implied]) {
    const mount = await resolveMount(volumes, holder, request, call);
    resolved.push(mount);
    if (request.kind !== "volume" || !request.copyUp || mount.view.volume === undefined) continue;
    // As Docker does: a volume that is used for the first time begins with what the image has in its place.
    await volumes.fill(mount.view.volume, { layers: await wanted.layers(), path: mount.spec.target }, call);
  }
  resolved.sort((a, b) => depth(a.spec.target) - depth(b.spec.target));
  return { mounts: resolved.map(({ spec }) => spec), views: resolved.map(({ view }) => view) };
}

async function resolveMount(
  volumes: Volumes,
  holder: string,
  request: MountRequest,
  call: Call,
): Promise<{ readonly spec: MountSpec; readonly view: MountView }> {
  const target = clean(request.target);
  const view = { target, readOnly: request.readOnly };
  switch (request.kind) {
    case "tmpfs":
      return { spec: { ...request, target }, view: { ...view, kind: "tmpfs", volume: undefined, source: "" } };
    case "bind": {
      const { source, readOnly, createSource, propagation } = request;
      const bound = await volumes.bind({ source, target, readOnly, createSource }, call);
      const spec = propagation === undefined ? bound : { ...bound, propagation };
      return { spec, view: { ...view, kind: "bind", volume: undefined, source: bound.source } };
    }
    case "volume": {
      // Labels are a new volume's; one that is there keeps its own, as in Docker.
      const { labels = {} } = request;
      const volume = await volumes.create(request.name === "" ? { madeFor: holder, labels } : { name: request.name, labels }, call);
      volumes.hold(volume.name, holder);
      const spec: MountSpec = { kind: "bind", source: volume.directory, target, readOnly: request.readOnly, volume: volume.name };
      return { spec, view: { ...view, kind: "volume", volume: volume.name, source: volume.directory } };
    }
  }
}

const clean = (target: string) => target.replaceAll(/\/+/g, "/").replace(/\/$/, "");
const depth = (target: string) => target.split("/").length;
