/** What daemons of one test share: a root with its launcher and image; everything else is made anew by each. */

import { join } from "node:path";
import { plainCall } from "../../../src/contract/call.ts";
import type { BoundaryDriver } from "../../../src/contract/driver.ts";
import type { RootSource } from "../../../src/contract/spec.ts";
import { createContainerDriver } from "../../../src/drivers/container/driver.ts";
import { createMicrovmDriver } from "../../../src/drivers/microvm/driver.ts";
import { createEngine } from "../../../src/engine/engine.ts";
import type { Engine } from "../../../src/engine/index.ts";
import { memoryImages, memoryNetworks, memoryVolumes } from "../../../src/engine/testkit/neighbours.ts";
import { LauncherClient } from "../../../src/host/launcher-client.ts";
import { openStateStore, type StateStore } from "../../../src/state/index.ts";

export interface Ground {
  readonly root: string;
  readonly sockets: string;
  readonly launcher: string;
  /** The image's only layer: a directory for containers; for machines a drive, and the init that they boot with. */
  readonly image: { readonly directory: string } | { readonly drive: string; readonly bytes: number; readonly guest: string };
}

export interface Wrapping {
  readonly driver?: (driver: BoundaryDriver) => BoundaryDriver;
  readonly store?: (store: StateStore) => StateStore;
}

export interface OpenEngine {
  readonly engine: Engine;
  readonly close: () => Promise<void>;
}

export function openEngine(ground: Ground, wrapping: Wrapping = {}): OpenEngine {
  const launcher = new LauncherClient({ socket: ground.launcher, log: plainCall().log });
  const { image } = ground;
  const places = { launcher, root: ground.root, sockets: ground.sockets };
  const driver = "drive" in image ? createMicrovmDriver({ ...places, guestPrograms: [image.guest] }) : createContainerDriver(places);
  const store = openStateStore(join(ground.root, "state"));
  const engine = createEngine({
    drivers: [wrapping.driver?.(driver) ?? driver],
    images: { ...memoryImages({ busybox: {} }), root: async () => rootOf(image) },
    networks: memoryNetworks(),
    volumes: memoryVolumes(ground.root),
    state: wrapping.store?.(store) ?? store,
    root: ground.root,
    defaultIsolation: driver.kind,
    // Made in the background: it would be seen where nothing may be left.
    templates: { enabled: false },
  });
  return {
    engine,
    close: async () => {
      await engine.close();
      store.close();
      launcher.close();
    },
  };
}

function rootOf(image: Ground["image"]): RootSource {
  if ("directory" in image) return { form: "directories", layers: [image.directory] };
  const layers = [{ offsetBytes: 0, lengthBytes: image.bytes }];
  return { form: "block-image", drive: { path: image.drive, format: "raw" }, extents: [], layers };
}
