/** What daemons of one test share: a root with its launcher and image; everything else is made anew by each. */

import { join } from "node:path";
import { plainCall } from "../../../src/contract/call.ts";
import type { BoundaryDriver } from "../../../src/contract/driver.ts";
import type { RootSource } from "../../../src/contract/spec.ts";
import { createContainerDriver } from "../../../src/drivers/container/driver.ts";
import { createMicrovmDriver } from "../../../src/drivers/microvm/driver.ts";
import { createEngine } from "../../../src/engine/engine.ts";
import type { Engine } from "../../../src/engine/index.ts";
import { memoryImages } from "../../../src/engine/testkit/neighbours.ts";
import { LauncherClient } from "../../../src/host/launcher-client.ts";
import type { Networks } from "../../../src/networks/index.ts";
import { type NetworkRecord, openNetworks } from "../../../src/networks/networks.ts";
import { openStateStore, type StateStore } from "../../../src/state/index.ts";
import type { Volumes } from "../../../src/volumes/index.ts";
import { openVolumes, type VolumeRecord } from "../../../src/volumes/volumes.ts";

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
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly close: () => Promise<void>;
}

/** Not yet recovered. Networks and volumes are the real ones; of images there is one, made by the test. */
export async function openEngine(ground: Ground, wrapping: Wrapping = {}): Promise<OpenEngine> {
  const launcher = new LauncherClient({ socket: ground.launcher, log: plainCall().log });
  const { rootId } = await launcher.hello();
  const { image, root } = ground;
  const places = { launcher, root, sockets: ground.sockets };
  const driver = "drive" in image ? createMicrovmDriver({ ...places, guestPrograms: [image.guest] }) : createContainerDriver(places);
  const store = openStateStore(join(root, "state"));
  const state = wrapping.store?.(store) ?? store;
  const networks = openNetworks({ rootId, launcher, store: state.collection<NetworkRecord>("networks") });
  const volumes = openVolumes({ root, launcher, store: state.collection<VolumeRecord>("volumes") });
  const engine = createEngine({
    drivers: [wrapping.driver?.(driver) ?? driver],
    images: { ...memoryImages({ busybox: {} }), root: async () => rootOf(image) },
    networks,
    volumes,
    state,
    root,
    defaultIsolation: driver.kind,
    // Made in the background: it would be seen where nothing may be left.
    templates: { enabled: false },
  });
  return {
    engine,
    networks,
    volumes,
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
