/**
 * From a record to a held main process: reserve, prepare, write the intent, launch. Begun in the background as soon as a
 * workload is created, so that `start` only has to let go; given up when nobody starts it, and then nothing of it stands.
 */

import { Failure, toFailure } from "../contract/failure.ts";
import type { Sandbox } from "../contract/sandbox.ts";
import { readAvailableMemory } from "./available-memory.ts";
import { getDriver, ownCall, workloadDirectory, type Context } from "./context.ts";
import { buildSandboxSpec, logSpec, type Reservations } from "./sandbox-spec.ts";
import type { WorkloadRecord } from "./record.ts";
import type { Templates } from "./templates.ts";
import type { Workload } from "./workload.ts";

export interface Raise {
  readonly abort: AbortController;
  /** Rejects where it failed or was given up; by then nothing stands. */
  readonly sandbox: Promise<Sandbox>;
  /** Set once the main process is held. */
  held: Sandbox | undefined;
  /** Nobody has asked for it yet: it counts against the limit, and expires. */
  ahead: boolean;
  cancelExpiry: (() => void) | undefined;
}

/** What of the record a raise goes by, where it is not raised to be started. */
export interface RaiseOptions extends Pick<WorkloadRecord, "ports"> {
  /** The init of ours stands for the command, which need not be there then. */
  readonly withInit?: boolean;
}

export interface LaunchAheadOptions {
  /** How many may be raised or held without having been asked for. */
  readonly limit: number;
  readonly expiryMs: number;
  readonly leastAvailableBytes: number;
}

export const LAUNCH_AHEAD: LaunchAheadOptions = { limit: 8, expiryMs: 2000, leastAvailableBytes: 512 * 1024 * 1024 };

/** How often other ports are taken where any would do and another program has them: a bound socket is seen only by binding. */
const PORT_TRIES = 32;

export class Raising {
  private readonly context: Context;
  private readonly options: LaunchAheadOptions;
  private readonly availableMemory: () => number;
  private readonly templates: Templates;
  private readonly ahead = new Set<Workload>();

  constructor(context: Context, templates: Templates, options: LaunchAheadOptions, availableMemory: () => number = readAvailableMemory) {
    this.context = context;
    this.templates = templates;
    this.options = options;
    this.availableMemory = availableMemory;
  }

  /** Begins in the background, where there is room for it. Failures are not told: `start` will meet them and tell. */
  beginAhead(workload: Workload): void {
    const { limit, expiryMs, leastAvailableBytes } = this.options;
    if (this.ahead.size >= limit || this.availableMemory() < leastAvailableBytes) return;
    const raise = this.begin(workload, true);
    this.ahead.add(workload);
    raise.cancelExpiry = this.context.clock.after(expiryMs, () => {
      // Under the mutex: a start that has begun meanwhile has taken it.
      void workload.mutex
        .run(async () => {
          if (workload.raise === raise && raise.ahead) await this.discard(workload);
        })
        .catch((thrown: unknown) => this.complain(workload, thrown));
    });
    raise.sandbox.catch(() => this.ahead.delete(workload));
  }

  /** The held sandbox: the one launched ahead, else one raised now, with these ports. The caller owns the workload's mutex. */
  async take(workload: Workload, signal: AbortSignal, how: RaiseOptions = workload.record): Promise<Sandbox> {
    const ahead = workload.raise;
    if (ahead !== undefined) {
      this.own(workload, ahead);
      const sandbox = await ahead.sandbox.catch(() => undefined);
      if (sandbox !== undefined && workload.raise === ahead) return sandbox;
    }
    const raise = this.begin(workload, false, how);
    const cancel = () => raise.abort.abort();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      if (signal.aborted) cancel();
      return await raise.sandbox;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  /** Ends what is raised or on its way. The record says so before this resolves. */
  async discard(workload: Workload): Promise<void> {
    const raise = workload.raise;
    if (raise === undefined) return;
    this.own(workload, raise);
    raise.abort.abort();
    const sandbox = await raise.sandbox.catch(() => undefined);
    if (sandbox === undefined) return;
    workload.raise = undefined;
    await sandbox.end(ownCall(this.context));
    this.released(workload);
  }

  /** The held sandbox was let go: it is no longer ours to give up. */
  letGo(workload: Workload): void {
    workload.raise = undefined;
  }

  private own(workload: Workload, raise: Raise): void {
    raise.ahead = false;
    raise.cancelExpiry?.();
    this.ahead.delete(workload);
  }

  private begin(workload: Workload, ahead: boolean, how: RaiseOptions = workload.record): Raise {
    const abort = new AbortController();
    const sandbox = this.launch(workload, how, abort.signal);
    const raise: Raise = { abort, sandbox, held: undefined, ahead, cancelExpiry: undefined };
    workload.raise = raise;
    sandbox.then(
      (held) => {
        raise.held = held;
        void workload.attachments.join(held).catch(() => {});
        void held.ended.then(() => this.lost(workload, raise)).catch((thrown: unknown) => this.complain(workload, thrown));
      },
      () => {
        raise.cancelExpiry?.();
        if (workload.raise === raise) workload.raise = undefined;
      },
    );
    return raise;
  }

  /** Its boundary went while it was held: the next start raises another. */
  private lost(workload: Workload, raise: Raise): void {
    if (workload.raise !== raise) return;
    this.own(workload, raise);
    workload.raise = undefined;
    this.released(workload);
  }

  private complain(workload: Workload, thrown: unknown): void {
    this.context.log.error({ workload: workload.id, failure: toFailure(thrown).toJSON() }, "a launch ahead could not be given up cleanly");
  }

  private async launch(workload: Workload, how: RaiseOptions, signal: AbortSignal): Promise<Sandbox> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.launchOnce(workload, how, signal);
      } catch (thrown) {
        if (tries === PORT_TRIES || !mayTakeOtherPorts(workload, toFailure(thrown))) throw thrown;
        this.context.networks.leave(workload.id);
      }
    }
  }

  private async launchOnce(workload: Workload, how: RaiseOptions, signal: AbortSignal): Promise<Sandbox> {
    const { context } = this;
    const { id } = workload;
    const driver = getDriver(context, workload.record.boundary.kind);
    const call = ownCall(context, signal);
    try {
      const spec = buildSandboxSpec(
        how.withInit === true ? { ...workload.record, request: { ...workload.record.request, init: true } } : workload.record,
        await this.reserve(workload, how, signal),
      );
      const bundle = await driver.prepare(spec, workloadDirectory(context, id), call);
      if (signal.aborted) throw new Failure("CANCELLED", "the launch was given up", { workload: id });
      context.roster.change(workload, { step: "launching", bundle, network: spec.network });
      const { main, request } = workload.record;
      const sandbox = await this.templates.launch(driver, bundle, { main, cold: request.cold === true }, call);
      if (!signal.aborted) return sandbox;
      await sandbox.end(ownCall(context));
      throw new Failure("CANCELLED", "the launch was given up", { workload: id });
    } catch (thrown) {
      this.released(workload);
      throw toFailure(thrown);
    }
  }

  private async reserve(workload: Workload, how: RaiseOptions, signal: AbortSignal): Promise<Reservations> {
    const { images, networks } = this.context;
    const { record } = workload;
    const { request } = record;
    const call = ownCall(this.context, signal);
    const driver = getDriver(this.context, record.boundary.kind);
    const joining = networks.join(record.id, request.network, how.ports, call);
    const resolving = Promise.all([
      images.root(record.imageId, driver.traits.rootForm, call),
      networks.resolvConf({ dns: request.dns, search: request.dnsSearch, options: request.dnsOptions, network: request.network }),
    ]);
    // Whoever gives up gives the address back: so the reservation must have come to its end, whatever else failed.
    await Promise.allSettled([joining, resolving]);
    const network = await joining;
    const [root, resolvConf] = await resolving;
    const bridged = network.kind === "bridge" ? network : undefined;
    const hosts = networks.hosts({
      hostname: record.hostname,
      ...(request.domainName === undefined ? {} : { domainName: request.domainName }),
      ...(bridged === undefined ? {} : { address: bridged.address, gateway: bridged.gateway }),
      extra: request.extraHosts,
    });
    return { root, network, resolvConf, hosts, log: logSpec(record, workloadDirectory(this.context, record.id)) };
  }

  /** The record says that nothing is under way, and address and ports are free: but of one that waits for its restart, which keeps them until then. */
  private released(workload: Workload): void {
    const { step, state } = workload.record;
    const keeps = state === "restarting";
    if (!keeps) this.context.networks.leave(workload.id);
    if (step === "launching") this.context.roster.change(workload, keeps ? { step: "idle" } : { step: "idle", network: undefined });
  }
}

/** What is taken was our choice, not the caller's: the networks give the next one each time. */
function mayTakeOtherPorts(workload: Workload, failure: Failure): boolean {
  return failure.code === "ALREADY_EXISTS" && workload.record.ports.some(({ hostPort }) => hostPort === 0);
}
