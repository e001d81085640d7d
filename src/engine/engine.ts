/**
 * The engine put together: every method of its face, each handed to the part that knows how. Reading order: `creation`,
 * `raising`, `life`, `stopping`, `removal`, `recovery`; the rest serves these.
 */

import type { BoundaryKind } from "../contract/boundary.ts";
import type { Call, Log } from "../contract/call.ts";
import { plainCall } from "../contract/call.ts";
import type { BoundaryDriver } from "../contract/driver.ts";
import { Failure, toFailure } from "../contract/failure.ts";
import { identityFor } from "../contract/host-ids.ts";
import type { AttachOptions, Attachment } from "../contract/process.ts";
import type { Sandbox } from "../contract/sandbox.ts";
import type { Images } from "../images/index.ts";
import type { Networks } from "../networks/index.ts";
import type { StateStore } from "../state/index.ts";
import type { Volumes } from "../volumes/index.ts";
import { announceWorkload } from "./announcement.ts";
import { readCapacity, type HostCapacity } from "./capacity.ts";
import { Changes } from "./changes.ts";
import { systemClock, type Clock } from "./clock.ts";
import { getDriver, workloadDirectory, type Context } from "./context.ts";
import { Creation } from "./creation.ts";
import { diskUse, pruneEnded } from "./disk-use.ts";
import { EventBus } from "./events.ts";
import { Execs } from "./execs.ts";
import { HealthChecks } from "./health.ts";
import type { Engine, LogQuery, WaitCondition, WorkloadView } from "./index.ts";
import { Life } from "./life.ts";
import { readLog } from "./log-reader.ts";
import { askRunning } from "./meanwhile.ts";
import { Probes } from "./probes.ts";
import { LAUNCH_AHEAD, Raising, type LaunchAheadOptions } from "./raising.ts";
import type { ExecRecord, WorkloadRecord } from "./record.ts";
import { Recovery } from "./recovery.ts";
import { Removal } from "./removal.ts";
import { Roster } from "./roster.ts";
import { logSpec } from "./sandbox-spec.ts";
import { Stopping } from "./stopping.ts";
import { TEMPLATES, Templates, type TemplateOptions } from "./templates.ts";
import { viewWorkload } from "./view.ts";
import type { WaitResult } from "./waits.ts";
import type { Workload } from "./workload.ts";
import { WorkloadFiles } from "./workload-files.ts";

export interface EngineOptions {
  readonly drivers: readonly BoundaryDriver[];
  readonly images: Images;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly state: StateStore;
  /** The daemon's own directory; a workload's is `workloads/ID` below it. */
  readonly root: string;
  readonly defaultIsolation: BoundaryKind;
  readonly log?: Log;
  readonly clock?: Clock;
  /** What the host has; read from it when absent. */
  readonly capacity?: HostCapacity;
  readonly launchAhead?: Partial<LaunchAheadOptions>;
  readonly templates?: Partial<TemplateOptions>;
  /** Bytes on disk of directories, in their order: the launcher's `diskUse`. Nothing is counted where it is absent. */
  readonly measureDirectories?: (directories: readonly string[]) => Promise<readonly number[]>;
  /** Bytes that the kernel could give out now; the kernel's own word when absent. */
  readonly availableMemory?: () => number;
}

export function createEngine(options: EngineOptions): Engine {
  const clock = options.clock ?? systemClock();
  const context: Context = {
    drivers: new Map(options.drivers.map((driver) => [driver.kind, driver])),
    images: options.images,
    networks: options.networks,
    volumes: options.volumes,
    roster: new Roster(options.state.collection<WorkloadRecord>("workloads")),
    execRecords: options.state.collection<ExecRecord>("execs"),
    events: new EventBus(clock),
    clock,
    capacity: options.capacity ?? readCapacity(),
    log: options.log ?? plainCall().log,
    root: options.root,
    measureDirectories: options.measureDirectories ?? (async (directories) => directories.map(() => 0)),
  };
  const probes = new Probes(clock);
  const templateOptions = { ...TEMPLATES, ...options.templates };
  const templates = new Templates(context, templateOptions, options.availableMemory);
  const raising = new Raising(context, templates, { ...LAUNCH_AHEAD, ...options.launchAhead }, options.availableMemory);
  const execs = new Execs(context);
  const removal = new Removal(context, raising, execs);
  const life = new Life(context, { raising, removal, health: new HealthChecks(context) });
  const creation = new Creation(context, { probes, raising, defaultIsolation: options.defaultIsolation });
  const stopping = new Stopping(context);
  const changes = new Changes(context, raising);
  const files = new WorkloadFiles(context, raising);
  const recovery = new Recovery(context, { life, removal, execs });
  const { roster, events } = context;
  const get = (reference: string) => roster.get(reference);
  const view = (workload: Workload) => viewOf(context, workload);

  return {
    defaultIsolation: options.defaultIsolation,
    create: (request, call) => creation.create(request, call),
    start: async (reference, call) => life.start(get(reference), call),
    stop: async (reference, how, call) => stopping.stop(get(reference), how, call),
    restart: async (reference, how, call) => {
      const workload = get(reference);
      workload.keptAtEnd = true;
      try {
        // Whoever stops or starts it in the same moment has done what this would do.
        if (workload.isLive) await stopping.stop(workload, how, call).catch(acceptUnchanged);
        await life.start(workload, call).catch(acceptUnchanged);
      } finally {
        workload.keptAtEnd = false;
      }
      announceWorkload(context, workload, "restarted");
    },
    kill: async (reference, signal, call) => stopping.kill(get(reference), signal, call),
    pause: async (reference, call) => stopping.pause(get(reference), call),
    resume: async (reference, call) => stopping.resume(get(reference), call),
    rename: async (reference, name, call) => changes.rename(get(reference), name, call),
    update: async (reference, change, call) => changes.update(get(reference), change, call),
    remove: async (reference, how, call) => removal.remove(get(reference), how, call),
    wait: async (reference, condition, call) => waitFor(get(reference), condition, call),
    attach: async (reference, how, call) => attach(context, get(reference), how, call),
    resizeTerminal: async (reference, size, call) => {
      const workload = get(reference);
      // Clients resize without looking; where there is no terminal there is nothing to do, as in Docker.
      await askRunning(context, workload, async ({ main }) => (workload.record.main.terminal ? main.resizeTerminal(size, call) : undefined));
      announceWorkload(context, workload, "resized", { height: String(size.rows), width: String(size.columns) });
    },
    logs: (reference, query, call) => openLog(context, get(reference), query, call),
    stats: async (reference, call) => askRunning(context, get(reference), (sandbox) => sandbox.stats(call)),
    top: async (reference, call) => askRunning(context, get(reference), (sandbox) => listProcesses(sandbox, call)),
    inspect: (reference) => view(get(reference)),
    list: () => roster.all().toReversed().map(view),
    diskUse: (ids) => diskUse(context, ids),
    prune: (keep, call) => pruneEnded(context, removal, (workload) => keep(view(workload)), call),
    statFile: async (reference, path, call) => files.stat(get(reference), path, call),
    readFiles: async (reference, path, call) => files.read(get(reference), path, call),
    writeFiles: async (reference, directory, given, call) => files.write(get(reference), directory, given, call),
    createExec: async (reference, request) => execs.create(get(reference), request),
    startExec: (id, how, call) => execs.start(id, how, call),
    resizeExec: (id, size, call) => execs.resize(id, size, call),
    signalExec: (id, signal, call) => execs.signal(id, signal, call),
    inspectExec: (id) => execs.view(id),
    events: (how, call) => events.subscribe(how.sinceNs, call.signal),
    announce: (event) => events.announce(event),
    probe: (kind, how, call) => {
      const asked = options.drivers.filter((driver) => kind === undefined || driver.kind === kind);
      return Promise.all(asked.map((driver) => probes.ask(driver, how.fresh, call)));
    },
    demand: async (kind, request, call) => {
      const driver = getDriver(context, kind);
      return identityFor((await probes.demand(driver, call)).identity, driver.traits, request);
    },
    makesTemplates: templateOptions.enabled,
    templates: () => templates.list(),
    removeTemplates: () => templates.clear(),
    recover: (call) => recovery.recover(call),
    close: async () => {
      life.close();
      for (const workload of roster.all()) giveUp(workload);
      await Promise.all(roster.all().map((workload) => workload.mutex.run(() => raising.discard(workload))));
      await removal.settle();
      await templates.close();
    },
  };
}

/** What is under way for a workload that is not running: the daemon ends. */
function giveUp({ raise, copies }: Workload): void {
  raise?.abort.abort();
  for (const copy of copies) copy.abort(new Failure("UNAVAILABLE", "the daemon is stopping", { remedy: "Ask again once it runs." }));
}

async function listProcesses({ top, identity }: Sandbox, call: Call) {
  if (top === undefined) throw new Failure("UNSUPPORTED", `${identity.kind} cannot list the processes inside`, { boundary: identity.kind });
  return top.processes(call);
}

function viewOf(context: Context, workload: Workload): WorkloadView {
  return viewWorkload(workload, workloadDirectory(context, workload.id));
}

function acceptUnchanged(thrown: unknown): void {
  if (toFailure(thrown).code !== "UNCHANGED") throw thrown;
}

/** The registration is made before anything is awaited. */
function waitFor(workload: Workload, condition: WaitCondition, call: Call): Promise<WaitResult> {
  const { exit, error, createdAt } = workload.record;
  if (condition === "not-running" && !workload.isLive)
    return Promise.resolve({ status: exit ?? { code: 0, outOfMemory: false, at: createdAt }, ...(error === undefined ? {} : { error }) });
  return workload.waits.register(condition, call.signal);
}

async function attach(context: Context, workload: Workload, how: AttachOptions, call: Call): Promise<Attachment> {
  const { state, id } = workload.record;
  if (state === "removing" || state === "dead") throw new Failure("WRONG_STATE", `Container ${id} is marked for removal`, { workload: id });
  if (state === "paused")
    throw new Failure("WRONG_STATE", `Container ${id} is paused, unpause the container before attach`, { workload: id, remedy: "Resume it." });
  const attachment =
    workload.run === undefined
      ? workload.attachments.add(how, workload.raise?.held)
      : await askRunning(context, workload, ({ main }) => main.attach(how, call));
  announceWorkload(context, workload, "attached");
  return attachment;
}

function openLog(context: Context, workload: Workload, query: LogQuery, call: Call) {
  const spec = logSpec(workload.record, workloadDirectory(context, workload.id));
  if (spec.kind === "none")
    throw new Failure("UNSUPPORTED", "configured logging driver does not support reading", {
      workload: workload.id,
      remedy: "Create it with the json-file log.",
    });
  return readLog(spec, { ...query, follow: query.follow && workload.isLive }, workload, call.signal);
}
