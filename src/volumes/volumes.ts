/**
 * Volumes: a directory each, `ROOT/volumes/NAME`, made and removed by the launcher (what workloads wrote there belongs to any user).
 *
 * The directory is made before the record and removed before it, so that a crash between leaves a directory that the next create of the name
 * takes over (or `sweep` removes), or a record whose removal can be repeated: never a record that is believed and has lost its files.
 */

import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Call, plainCall } from "../contract/call.ts";
import { Failure, quote } from "../contract/failure.ts";
import type { LauncherAsk, LauncherOk } from "../contract/launcher-protocol.ts";
import type { Collection } from "../state/index.ts";
import { bindSource } from "./bind.ts";
import type { Volumes, VolumeView } from "./index.ts";

/** A volume as it is stored, by its name. */
export interface VolumeRecord {
  readonly version: 1;
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly anonymous: boolean;
  /** The workload that an anonymous volume was made for, until it is kept without it. */
  readonly madeFor?: string;
}

/** The part of the launcher that volumes need. */
export interface VolumeLauncher {
  request<V extends "volumeCreate" | "volumeRemove" | "volumeFill" | "diskUse">(verb: V, ask: LauncherAsk<V>): Promise<LauncherOk<V>>;
}

export interface VolumesOptions {
  /** The daemon's root directory. */
  readonly root: string;
  readonly launcher: VolumeLauncher;
  readonly store: Collection<VolumeRecord>;
  readonly now?: () => number;
}

/** Makes the directory that volumes lie in. */
export function openVolumes(options: VolumesOptions): Volumes {
  const parent = join(options.root, "volumes");
  // A workload may leave a set-uid file in a volume: nobody of the host passes through here to it.
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  chmodSync(parent, 0o700);
  return new StoredVolumes(options, parent);
}

class StoredVolumes implements Volumes {
  readonly #options: VolumesOptions;
  readonly #parent: string;
  readonly #holders = new Map<string, Set<string>>();
  /** What is being made or removed, by name: whoever comes meanwhile waits for its end. */
  readonly #busy = new Map<string, Promise<unknown>>();

  constructor(options: VolumesOptions, parent: string) {
    this.#options = options;
    this.#parent = parent;
  }

  async create(options: Parameters<Volumes["create"]>[0], _call: Call = plainCall()): Promise<VolumeView> {
    const name = options.name ?? randomBytes(32).toString("hex");
    checkName(name);
    while (this.#busy.has(name)) await this.#busy.get(name)?.catch(() => {});
    if (this.#options.store.get(name) !== undefined) return this.get(name);
    const record: VolumeRecord = {
      version: 1,
      createdAt: new Date((this.#options.now ?? Date.now)()).toISOString(),
      labels: options.labels ?? {},
      anonymous: options.name === undefined,
      ...(options.name === undefined && options.madeFor !== undefined ? { madeFor: options.madeFor } : {}),
    };
    await this.#alone(name, async () => {
      await this.#options.launcher.request("volumeCreate", { directory: join(this.#parent, name) });
      this.#options.store.put(name, record, { durable: !record.anonymous });
    });
    return this.get(name);
  }

  async fill(name: string, from: Parameters<Volumes["fill"]>[1], _call: Call): Promise<void> {
    while (this.#busy.has(name)) await this.#busy.get(name)?.catch(() => {});
    const { directory } = this.get(name);
    await this.#alone(name, async () => {
      await this.#options.launcher.request("volumeFill", { directory, lowers: from.layers, path: from.path });
    });
  }

  get(name: string): VolumeView {
    const record = this.#options.store.get(name);
    if (record === undefined) throw new Failure("NOT_FOUND", `no such volume: ${quote(name)}`, { remedy: "bulkhead volume ls shows which there are" });
    return this.#view(name, record);
  }

  list(): readonly VolumeView[] {
    return [...this.#options.store.all()].map(([name, record]) => this.#view(name, record));
  }

  async remove(name: string, _call: Call): Promise<void> {
    while (this.#busy.has(name)) await this.#busy.get(name)?.catch(() => {});
    this.get(name);
    const holder = this.#holders.get(name)?.values().next().value;
    if (holder !== undefined)
      throw new Failure("WRONG_STATE", `volume ${quote(name)} is in use by workload ${holder.slice(0, 12)}`, { remedy: "remove the workload first" });
    await this.#alone(name, async () => {
      await this.#clear(name);
      this.#options.store.delete(name);
    });
  }

  bind(options: Parameters<Volumes["bind"]>[0], _call: Call): ReturnType<Volumes["bind"]> {
    return bindSource(options);
  }

  hold(name: string, holder: string): void {
    const holders = this.#holders.get(name) ?? new Set();
    this.#holders.set(name, holders.add(holder));
  }

  release(holder: string): void {
    for (const [name, holders] of this.#holders) {
      holders.delete(holder);
      if (holders.size === 0) this.#holders.delete(name);
    }
  }

  keep(workload: string): void {
    for (const [name, { madeFor: _made, ...record }] of this.#madeFor((maker) => maker === workload)) this.#options.store.put(name, record);
  }

  async abandon(workload: string, call: Call): Promise<void> {
    this.release(workload);
    for (const [name] of this.#madeFor((maker) => maker === workload)) await this.remove(name, call);
  }

  async sweep(isThere: (workload: string) => boolean, call: Call): Promise<void> {
    for (const [name] of this.#madeFor((maker) => !isThere(maker))) await this.remove(name, call);
    for (const name of await readdir(this.#parent)) {
      // What a fill works under is taken away with its volume, or taken up by the next fill of it.
      if (name.startsWith(".") || this.#options.store.get(name) !== undefined) continue;
      await this.#alone(name, () => this.#clear(name));
    }
  }

  async diskUse(names: readonly string[], _call: Call): Promise<readonly number[]> {
    if (names.length === 0) return [];
    const { bytes } = await this.#options.launcher.request("diskUse", { directories: names.map((name) => join(this.#parent, name)) });
    return bytes;
  }

  #madeFor(wanted: (workload: string) => boolean): readonly (readonly [string, VolumeRecord])[] {
    return [...this.#options.store.all()].filter(([, { madeFor }]) => madeFor !== undefined && wanted(madeFor));
  }

  async #clear(name: string): Promise<void> {
    await this.#options.launcher.request("volumeRemove", { directory: join(this.#parent, name) });
  }

  #view(name: string, { createdAt, labels, anonymous }: VolumeRecord): VolumeView {
    return { name, directory: join(this.#parent, name), createdAt, labels, anonymous };
  }

  async #alone(name: string, work: () => Promise<void>): Promise<void> {
    const working = work();
    this.#busy.set(name, working);
    try {
      await working;
    } finally {
      this.#busy.delete(name);
    }
  }
}

/** Docker's rule, and no longer than a file's name may be. */
function checkName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/.test(name)) return;
  throw new Failure("INVALID_SPEC", `${quote(name)} is not a name for a volume`, {
    remedy: "use letters, digits, dots, dashes and underscores, beginning with a letter or digit; a path of the host must be absolute",
  });
}
