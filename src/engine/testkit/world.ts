/** An engine over the fake driver and small neighbours, on a disk and a host that outlive it. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plainCall } from "../../contract/call.ts";
import type { ImageConfiguration } from "../../images/index.ts";
import { createFakeDriver, type FakeDriver, type FakeDriverOptions } from "../../contract/testkit/fake-driver.ts";
import { FakeHost } from "../../contract/testkit/fake-host.ts";
import { createEngine, type EngineOptions } from "../engine.ts";
import type { Engine, WorkloadRequest } from "../index.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryDisk, type Cut } from "./memory-state.ts";
import { memoryImages, memoryNetworks, memoryVolumes, type MemoryImages, type MemoryNetworks, type MemoryVolumes } from "./neighbours.ts";

export const IMAGES: Readonly<Record<string, Partial<ImageConfiguration>>> = {
  sleeper: {},
  bare: { command: [] },
  rich: {
    entrypoint: ["echo"],
    command: ["from", "image"],
    environment: ["A=image", "B=image"],
    workingDirectory: "/srv",
    user: "1000",
    labels: { from: "image" },
    exposedPorts: ["80/tcp"],
    volumes: ["/data"],
    stopSignal: "SIGUSR1",
  },
};

export interface World {
  readonly root: string;
  readonly host: FakeHost;
  readonly disk: MemoryDisk;
  readonly clock: ManualClock;
  engine: Engine;
  driver: FakeDriver;
  images: MemoryImages;
  networks: MemoryNetworks;
  volumes: MemoryVolumes;
  /** A new daemon on the same disk and host; the one before dies without a word. */
  restart(options?: WorldOptions): Promise<Engine>;
  /** The same, not yet recovered. */
  replace(options?: WorldOptions): Engine;
  dispose(): void;
}

export interface WorldOptions {
  readonly driver?: Partial<FakeDriverOptions>;
  readonly engine?: Partial<EngineOptions>;
  readonly cut?: Omit<Cut, "die">;
}

export function makeWorld(options: WorldOptions = {}): World {
  const clock = new ManualClock();
  const host = new FakeHost({ after: clock.after });
  const root = mkdtempSync(join(tmpdir(), "bulkhead-engine-"));
  const disk = new MemoryDisk();
  const build = (how: WorldOptions): Pick<World, "engine" | "driver" | "images" | "networks" | "volumes"> => {
    const driver = createFakeDriver({ host, ...how.driver });
    const images = memoryImages(IMAGES);
    const networks = memoryNetworks();
    const volumes = memoryVolumes(root);
    const state = disk.open(how.cut === undefined ? undefined : { ...how.cut, die: () => driver.die() });
    const engine = createEngine({
      drivers: [driver],
      images,
      networks,
      volumes,
      state,
      root,
      clock,
      defaultIsolation: "container",
      availableMemory: () => Infinity,
      templates: { enabled: false },
      capacity: { processors: [0, 1, 2, 3], openFiles: 1_048_576 },
      ...how.engine,
    });
    return { engine, driver, images, networks, volumes };
  };
  const replace = (how: WorldOptions = {}) => {
    world.driver.die();
    Object.assign(world, build(how));
    return world.engine;
  };
  const world: World = {
    root,
    host,
    disk,
    clock,
    ...build(options),
    replace,
    restart: async (how) => {
      replace(how);
      await world.engine.recover(plainCall());
      return world.engine;
    },
    dispose: () => rmSync(root, { recursive: true, force: true }),
  };
  return world;
}

export function makeRequest(changes: Partial<WorkloadRequest> = {}): WorkloadRequest {
  return {
    image: "sleeper",
    environment: [],
    additionalGroups: [],
    labels: {},
    terminal: false,
    stdin: false,
    stdinOnce: false,
    mounts: [],
    network: "bridge",
    ports: [],
    publishAll: false,
    exposedPorts: [],
    dns: [],
    dnsSearch: [],
    dnsOptions: [],
    extraHosts: [],
    limits: {},
    rlimits: [],
    sysctls: {},
    security: { privileged: false, capabilitiesAdd: [], capabilitiesDrop: [], readOnlyRoot: false, hostNamespaces: [], devices: [] },
    init: false,
    restart: { name: "no", maximumRetries: 0 },
    autoRemove: false,
    log: { driver: "json-file" },
    ...changes,
  };
}
