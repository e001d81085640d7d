/**
 * Create: check everything that can be checked, write one record, answer. The launch is begun in the background and not
 * waited for. A boundary that this host lacks is refused here, with the probe's finding; never a weaker one in its place.
 */

import { randomBytes } from "node:crypto";
import { hostname as hostName } from "node:os";
import type { BoundaryKind } from "../contract/boundary.ts";
import type { Call } from "../contract/call.ts";
import { toFailure } from "../contract/failure.ts";
import { identityFor } from "../contract/host-ids.ts";
import type { PortWish } from "../networks/index.ts";
import type { ImageConfiguration } from "../images/index.ts";
import { announceWorkload } from "./announcement.ts";
import { checkCapacity, checkHostKernel } from "./capacity.ts";
import { formatInstant } from "./clock.ts";
import { getDriver, ownCall, type Context } from "./context.ts";
import type { WorkloadRequest } from "./index.ts";
import { checkKernelParameters } from "./kernel-parameters.ts";
import { mergeHealthCheck, mergeProcess } from "./merge.ts";
import { resolveMounts } from "./mounts.ts";
import { checkName, makeName } from "./names.ts";
import type { Probes } from "./probes.ts";
import type { Raising } from "./raising.ts";
import type { WorkloadRecord } from "./record.ts";
import { buildSecurity } from "./security.ts";
import { parseSignal } from "./signals.ts";
import { checkPlatform, checkRequest, checkTraits, fitToTraits } from "./validation.ts";

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64", riscv64: "riscv64" };

export interface Created {
  readonly id: string;
  readonly warnings: readonly string[];
}

export class Creation {
  private readonly context: Context;
  private readonly probes: Probes;
  private readonly raising: Raising;
  private readonly defaultIsolation: BoundaryKind;

  constructor(context: Context, parts: { readonly probes: Probes; readonly raising: Raising; readonly defaultIsolation: BoundaryKind }) {
    this.context = context;
    this.probes = parts.probes;
    this.raising = parts.raising;
    this.defaultIsolation = parts.defaultIsolation;
  }

  async create(asked: WorkloadRequest, call: Call): Promise<Created> {
    const { context } = this;
    const driver = getDriver(context, asked.isolation ?? this.defaultIsolation);
    const request = fitToTraits(asked, driver.traits);
    if (request.name !== undefined) context.roster.checkFree(checkName(request.name));
    checkRequest(request);
    checkCapacity(request.limits, context.capacity);
    buildSecurity(request.security);
    const image = context.images.get(request.image);
    checkTraits(request, driver.kind, driver.traits);
    checkKernelParameters(request, driver.traits);
    if (driver.traits.kernel === "host") checkHostKernel(request, context.capacity);
    if (request.network !== "none" && request.network !== "host") context.networks.get(request.network);
    const warnings = [...checkPlatform(request, image.configuration, ARCHITECTURES[process.arch] ?? process.arch), ...networkWarnings(request)];
    const id = randomBytes(32).toString("hex");
    const hostname = request.hostname ?? (request.network === "host" || request.security.hostNamespaces.includes("uts") ? hostName() : id.slice(0, 12));
    const main = mergeProcess(image.configuration, request, hostname);
    const { identity } = await this.probes.demand(driver, call);
    const created = await this.write(
      { id, hostname, main, boundary: identityFor(identity, driver.traits, request), imageId: image.id, configuration: image.configuration },
      request,
      call,
    );
    announceWorkload(context, created, "created");
    this.raising.beginAhead(created);
    return { id, warnings };
  }

  private async write(made: Made, request: WorkloadRequest, call: Call) {
    const { context } = this;
    const { configuration, ...known } = made;
    context.images.hold(made.imageId, made.id);
    try {
      const layers = async () => {
        const root = await context.images.root(made.imageId, "directories", call);
        return root.form === "directories" ? root.layers : [];
      };
      const wanted = { requests: request.mounts, imageVolumes: configuration.volumes, layers };
      const mounts = await resolveMounts(context.volumes, made.id, wanted, call);
      const healthCheck = mergeHealthCheck(configuration, request);
      return context.roster.add({
        version: 1,
        ...known,
        name: request.name === undefined ? makeName((name) => context.roster.isTaken(name)) : checkName(request.name),
        request,
        labels: { ...configuration.labels, ...request.labels },
        ports: choosePorts(configuration, request),
        mounts: mounts.mounts,
        mountViews: mounts.views,
        stopSignal: parseSignal(request.stopSignal ?? configuration.stopSignal ?? "SIGTERM"),
        ...(healthCheck === undefined ? {} : { healthCheck }),
        createdAt: formatInstant(context.clock.nowNs()),
        state: "created",
        step: "idle",
        restartCount: 0,
        stoppedByHand: false,
      });
    } catch (thrown) {
      context.images.release(made.id);
      await context.volumes.abandon(made.id, ownCall(context)).catch((second: unknown) => {
        context.log.warn({ workload: made.id, failure: toFailure(second).toJSON() }, "anonymous volumes of a workload that failed stay until the next start");
      });
      throw thrown;
    }
  }
}

type Made = Pick<WorkloadRecord, "id" | "hostname" | "main" | "boundary" | "imageId"> & { readonly configuration: ImageConfiguration };

/** Published ports; with `publishAll` every exposed one that is not published already. */
function choosePorts(image: ImageConfiguration, request: WorkloadRequest): readonly PortWish[] {
  if (request.network === "none" || request.network === "host") return [];
  if (!request.publishAll) return request.ports;
  const exposed = [...request.exposedPorts, ...image.exposedPorts.map(parseExposed)];
  const ports: PortWish[] = [...request.ports];
  for (const { protocol, port } of exposed)
    if (!ports.some((known) => known.protocol === protocol && known.workloadPort === port))
      ports.push({ protocol, hostAddress: "", hostPort: 0, workloadPort: port });
  return ports;
}

/** `80/tcp` or `80`. */
function parseExposed(text: string): { readonly protocol: "tcp" | "udp"; readonly port: number } {
  const [port = "", protocol] = text.split("/");
  return { protocol: protocol === "udp" ? "udp" : "tcp", port: Number(port) };
}

function networkWarnings(request: WorkloadRequest): readonly string[] {
  const ignored = request.ports.length > 0 && (request.network === "host" || request.network === "none");
  return ignored ? [`Published ports are discarded when using ${request.network} network mode`] : [];
}
