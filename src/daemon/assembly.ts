/**
 * Everything wired into one process: the only place beside `main.ts` that names concrete drivers. Order of raising:
 *
 *   directories → state (one daemon per root) → launcher → images, networks, volumes → drivers → engine
 *   → recovery of what runs → leftovers removed → API listens
 *
 * Letting go runs the other way and ends no workload.
 */

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Api, createApi } from "../api/index.ts";
import { type Call, type Log, plainCall } from "../contract/call.ts";
import type { BoundaryDriver, Finding } from "../contract/driver.ts";
import { createContainerDriver } from "../drivers/container/driver.ts";
import { createGvisorDriver } from "../drivers/gvisor/driver.ts";
import { createMicrovmDriver } from "../drivers/microvm/driver.ts";
import { createVmDriver } from "../drivers/vm/driver.ts";
import { createWasmDriver } from "../drivers/wasm/driver.ts";
import { createEngine } from "../engine/engine.ts";
import type { Engine } from "../engine/index.ts";
import { readDiskBytes } from "../host/host-facts.ts";
import { LauncherClient } from "../host/launcher-client.ts";
import { startLauncher } from "../host/launcher-start.ts";
import { reportHost } from "../host/probes/host-report.ts";
import { makeOwnDirectory } from "../host/own-directory.ts";
import { openImages } from "../images/store.ts";
import { type NetworkRecord, openNetworks } from "../networks/networks.ts";
import { openStateStore } from "../state/index.ts";
import { openVolumes, type VolumeRecord } from "../volumes/volumes.ts";
import { createAdmission } from "./admission.ts";
import { createAdviceSource } from "./advice.ts";
import type { Configuration } from "./configuration.ts";
import { removeLeftovers } from "./leftovers.ts";
import { giveBackMemory } from "./idle-memory.ts";
import { createIdentify } from "./peer.ts";
import { type Places, placesOf } from "./places.ts";
import { PolicyFile } from "./policy-file.ts";
import { removeRoot } from "./root-removal.ts";
import { openSocketToGroup } from "./socket-access.ts";
import { VERSION } from "./version.ts";

/** How long a probe that is cut short may take to clear its trial away; what is left after that goes at the next start. */
const PROBE_GRACE_MS = 3000;
const SETTLING_GRACE_MS = 2000;

export interface Daemon {
  readonly places: Places;
  /** Takes no new requests, lets single deeds finish, writes everything down. Workloads go on. Repeatable. */
  close(): Promise<void>;
}

/** Raises a daemon. When it rejects, nothing of it is left but what was there before, and a launcher that others may use. */
export async function openDaemon(configuration: Configuration, log: Log): Promise<Daemon> {
  const places = placesOf(configuration);
  makeDirectories(places);
  const undo: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  try {
    const state = openStateStore(places.state);
    let isEmpty = () => false;
    let emptied = false;
    undo.push(async () => {
      state.close();
      if (emptied) await removeRoot(places, { keepLauncher: isManaged() });
    });
    const launcher = connectLauncher(configuration, places, log);
    undo.push(() => launcher.close());
    let teardown = false;
    undo.push(async () => {
      if (!teardown) return;
      emptied = isEmpty();
      const { removed, bridges } = await launcher.request("teardown", {});
      log.info({ removed, bridges }, emptied ? "nothing of this root is left on the host" : "nothing of this root is left on the host but its files");
    });
    const hello = await launcher.hello();
    const networks = openNetworks({
      rootId: hello.rootId,
      launcher,
      store: state.collection<NetworkRecord>("networks"),
      ...networkChoices(configuration),
    });
    const volumes = openVolumes({ root: places.root, launcher, store: state.collection<VolumeRecord>("volumes") });
    const images = await openImages({
      directory: join(places.root, "images"),
      state,
      worker: launcher,
      registries: registriesOf(configuration),
      limits: configuration.images ?? {},
      log,
    });
    // What the disk does not have by then, the next daemon makes sure of.
    undo.push(() => Promise.race([images.settled(), sleep(SETTLING_GRACE_MS, undefined, { ref: false })]));
    const drivers = createDrivers(configuration, places, launcher);
    const engine = createEngine({
      drivers,
      images,
      networks,
      volumes,
      state,
      root: places.root,
      measureDirectories: async (directories) => (await launcher.request("diskUse", { directories })).bytes,
      defaultIsolation: configuration.defaultIsolation ?? "container",
      templates: { enabled: configuration.templates ?? true },
      log,
    });
    isEmpty = () => engine.list().length + volumes.list().length + images.list().length === 0;
    undo.push(() => engine.close());
    const own: Call = { ...plainCall(), log };
    await engine.recover(own);
    await removeLeftovers(launcher, places.root, new Set(engine.list().map(({ id }) => id)), log);
    const advice = createAdviceSource(engine, state);
    const api = createApi({
      engine,
      images,
      networks,
      volumes,
      server: {
        version: VERSION,
        commit: "",
        id: hello.rootId,
        rootDirectory: places.root,
        cgroup: hello.cgroup,
        insecureRegistries: configuration.insecureRegistries ?? [],
      },
      identify: createIdentify(launcher),
      trustedHosts: configuration.trustedHosts ?? [],
      ...createAdmission({ engine, images, policy: new PolicyFile(configuration.policy, log), advice, log }),
      advice,
      diskBytes: () => readDiskBytes(places.root),
      diagnose: (call) => diagnose(engine, { launcher, root: places.root }, call),
      stopDaemon: (options) => {
        teardown = options.teardown;
        process.kill(process.pid, "SIGTERM");
      },
      log,
    });
    undo.push(() => api.close());
    await listen(api, places.socket, configuration.group);
    for (const { path, group } of configuration.sockets ?? []) await listen(api, path, group);
    // Known before the first run asks for it. Cut short at the end, so that no trial is left half-way.
    const stopping = new AbortController();
    const probing = engine.probe(undefined, { fresh: false }, { ...own, signal: stopping.signal }).then(giveBackMemory, () => undefined);
    undo.push(async () => {
      stopping.abort();
      await Promise.race([probing, sleep(PROBE_GRACE_MS, undefined, { ref: false })]);
    });
    return { places, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

function makeDirectories(places: Places): void {
  makeOwnDirectory(places.root, 0o711);
  makeOwnDirectory(join(places.root, "workloads"), 0o711);
  // The group's members pass through it to the API's socket; the sockets below are for root alone.
  makeOwnDirectory(places.run, 0o711);
  makeOwnDirectory(places.sockets, 0o700);
}

function connectLauncher(configuration: Configuration, places: Places, log: Log): LauncherClient {
  const candidates = { named: configuration.launcher, programs: NATIVE_FOLDERS.map((folder) => join(folder, "bulkhead-launcher")) };
  const managed = isManaged();
  // What the operator put in the place of the distribution's may be named in launch plans.
  const { kernel, initrd, qemu } = configuration.machine ?? {};
  const allow = [kernel, initrd, qemu].filter((path) => path !== undefined);
  const { root, run, launcherSocket: socket } = places;
  const start = () => startLauncher({ root, run, socket, log: places.launcherLog, ...candidates, allow, managed });
  return new LauncherClient({ socket, log, start });
}

/** Somebody else starts and stops the launcher. */
function isManaged(): boolean {
  return process.env["BULKHEAD_LAUNCHER"] === "managed";
}

/** Where the build puts native programs: beside the bundled daemon, or in a checkout. */
const NATIVE_FOLDERS = [join(import.meta.dirname, "native"), join(import.meta.dirname, "../../dist/native")];

function createDrivers(configuration: Configuration, places: Places, launcher: LauncherClient): BoundaryDriver[] {
  const shared = { launcher, root: places.root, sockets: places.sockets };
  const candidates = (name: string) => [...NATIVE_FOLDERS, "/usr/lib/bulkhead"].map((folder) => join(folder, name));
  const guestPrograms = candidates("bulkhead-guest");
  const initPrograms = candidates("bulkhead-init");
  return [
    createWasmDriver(shared),
    createContainerDriver({ ...shared, initPrograms }),
    createGvisorDriver({ ...shared, initPrograms, ...configuration.gvisor }),
    createMicrovmDriver({ ...shared, guestPrograms, ...configuration.machine }),
    createVmDriver({ ...shared, ...(configuration.machine?.qemu === undefined ? {} : { qemu: configuration.machine.qemu }) }),
  ];
}

function networkChoices({ subnets, metadata }: Configuration) {
  return { ...(subnets === undefined ? {} : { pools: subnets }), metadata: metadata ?? false };
}

function registriesOf(configuration: Configuration) {
  return {
    ...(configuration.insecureRegistries === undefined ? {} : { insecure: configuration.insecureRegistries }),
    ...(configuration.registryCertificates === undefined ? {} : { certificateDirectories: configuration.registryCertificates }),
    ...(configuration.registryCredentials === undefined ? {} : { credentialsFile: configuration.registryCredentials }),
  };
}

/** The host, then each boundary, found out anew. */
async function diagnose(engine: Engine, host: { readonly launcher: LauncherClient; readonly root: string }, call: Call): Promise<readonly Finding[]> {
  const [found, reports] = await Promise.all([reportHost(host, call), engine.probe(undefined, { fresh: true }, call)]);
  return [...found, ...reports.flatMap(({ kind, findings }) => findings.map((finding) => ({ ...finding, id: `${kind}-${finding.id}` })))];
}

async function listen(api: Api, socket: string, group: string | undefined): Promise<void> {
  // Nobody but root may connect between the socket's birth and its group.
  const before = process.umask(0o177);
  try {
    await api.listen(socket);
  } finally {
    process.umask(before);
  }
  openSocketToGroup(socket, group);
}
