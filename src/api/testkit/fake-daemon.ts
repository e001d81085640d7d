/**
 * The API over the real engine over the fake driver: everything that a client can see of a daemon, without privilege. The
 * fake's programs (`echo`, `cat`, `sleep`, `exit`, `tick`, `terminal`, `size`, …) are what its images hold.
 */

import { mkdtempSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plainCall, type Log } from "../../contract/call.ts";
import { createFakeDriver } from "../../contract/testkit/fake-driver.ts";
import { FakeHost } from "../../contract/testkit/fake-host.ts";
import { createEngine } from "../../engine/engine.ts";
import type { Engine } from "../../engine/index.ts";
import { MemoryDisk } from "../../engine/testkit/memory-state.ts";
import { memoryNetworks, memoryVolumes } from "../../engine/testkit/neighbours.ts";
import type { Networks } from "../../networks/index.ts";
import type { Volumes } from "../../volumes/index.ts";
import { createAdmission } from "../../daemon/admission.ts";
import { createAdviceSource } from "../../daemon/advice.ts";
import { OPEN_POLICY, type Policy } from "../../policy/index.ts";
import { createApi, type Api, type Authorize, type Identity } from "../index.ts";
import { memoryAdvice } from "./memory-advice.ts";
import { memoryImages, type MemoryImages } from "./memory-images.ts";

export const TEST_IDENTITY: Identity = { pid: 1, uid: 0, gid: 0, groups: [0] };

export interface FakeDaemon {
  readonly socket: string;
  readonly engine: Engine;
  readonly images: MemoryImages;
  readonly volumes: Volumes;
  readonly host: FakeHost;
  readonly api: Api;
  close(): Promise<void>;
}

export interface FakeDaemonOptions {
  readonly socket?: string;
  readonly authorize?: Authorize;
  readonly policy?: Policy;
  /** The fake has machines as well; else their probe finds what is missing. */
  readonly machines?: boolean;
  readonly identify?: (socket: Socket, door: string) => Promise<Identity>;
  readonly log?: Log;
  readonly images?: readonly string[];
  /** Replaces parts of the engine, for what the fake driver cannot show. */
  readonly engine?: Partial<Engine>;
}

export async function startFakeDaemon(options: FakeDaemonOptions = {}): Promise<FakeDaemon> {
  const root = mkdtempSync(join(tmpdir(), "bulkhead-api-"));
  const socket = options.socket ?? join(root, "api.sock");
  const host = new FakeHost();
  const images = memoryImages(options.images);
  const volumes = memoryVolumes(root);
  const networks = listedNetworks(memoryNetworks());
  const state = new MemoryDisk().open();
  const made = createEngine({
    drivers: [
      createFakeDriver({ host }),
      options.machines === true
        ? createFakeDriver({ host, kind: "microvm", traitNames: ["separate-kernel", "own-kernel"] })
        : createFakeDriver({
            host,
            kind: "microvm",
            missing: { id: "kvm-boots", level: "missing", what: "no guest booted", remedy: "Enable virtualisation." },
          }),
    ],
    images,
    networks,
    volumes,
    state,
    root,
    defaultIsolation: "container",
    templates: { enabled: false },
    availableMemory: () => Number.POSITIVE_INFINITY,
    capacity: { processors: [0, 1, 2, 3], openFiles: 1_048_576 },
  });
  const engine: Engine = { ...made, ...options.engine };
  await engine.recover(plainCall());
  const log = options.log ?? plainCall().log;
  const policy = { path: "/etc/bulkhead/policy.yaml", current: async () => options.policy ?? OPEN_POLICY };
  const admission = createAdmission({ engine, images, policy, advice: createAdviceSource(engine, state), log });
  const api = createApi({
    engine,
    images,
    networks,
    volumes,
    server: { version: "0.1.0", commit: "abcdef0", id: "test-root", rootDirectory: root, cgroup: "v2", insecureRegistries: [] },
    identify: options.identify ?? (async () => TEST_IDENTITY),
    ...admission,
    ...(options.authorize === undefined ? {} : { authorize: options.authorize }),
    advice: memoryAdvice(),
    diskBytes: () => 500e9,
    diagnose: async () => [{ id: "kvm-boots", level: "missing", what: "no guest booted", remedy: "Enable virtualisation." }],
    log,
  });
  await api.listen(socket);
  return {
    socket,
    engine,
    images,
    volumes,
    host,
    api,
    async close() {
      await api.close();
      for (const { id } of engine.list()) await engine.remove(id, { force: true, volumes: true }, plainCall()).catch(() => undefined);
      await engine.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function listedNetworks(networks: Networks): Networks {
  const view = (name: "bridge" | "host" | "none") => ({
    id: name.padEnd(64, "0").replaceAll(/[^0-9a-f]/g, "0"),
    name,
    driver: name === "none" ? ("null" as const) : name,
    createdAt: "2026-01-02T03:04:05Z",
    subnet: name === "bridge" ? "10.0.0.0/24" : undefined,
    gateway: name === "bridge" ? "10.0.0.1" : undefined,
    bridge: name === "bridge" ? "br0" : undefined,
    labels: {},
    members: [],
  });
  const all = [view("bridge"), view("host"), view("none")];
  return { ...networks, list: () => all, get: (reference) => all.find(({ id, name }) => id === reference || name === reference) ?? networks.get(reference) };
}
