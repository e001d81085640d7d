/** Images, networks and volumes as small as the engine's tests need them. What is not asked for there, is not here. */

import { Failure } from "../../contract/failure.ts";
import type { NetworkSpec } from "../../contract/spec.ts";
import type { ImageConfiguration, Images, ImageView } from "../../images/index.ts";
import type { Networks, PortWish } from "../../networks/index.ts";
import type { Volumes, VolumeView } from "../../volumes/index.ts";

const notHere = (name: string) => () => {
  throw new Error(`the engine's tests have no ${name}`);
};

export const EMPTY_CONFIGURATION: ImageConfiguration = {
  architecture: process.arch === "arm64" ? "arm64" : "amd64",
  os: "linux",
  entrypoint: [],
  command: ["sleep", "1000000"],
  environment: [],
  workingDirectory: "",
  user: "",
  labels: {},
  exposedPorts: [],
  volumes: [],
};

export interface MemoryImages extends Images {
  readonly holders: ReadonlyMap<string, string>;
}

export function memoryImages(configurations: Readonly<Record<string, Partial<ImageConfiguration>>>): MemoryImages {
  const holders = new Map<string, string>();
  return {
    holders,
    get: (reference) => {
      const found = configurations[reference.replace(/^sha256:/, "")];
      if (found === undefined) throw new Failure("NOT_FOUND", `No such image: ${reference}`);
      return { id: `sha256:${reference.replace(/^sha256:/, "")}`, configuration: { ...EMPTY_CONFIGURATION, ...found } } as ImageView;
    },
    hold: (image, holder) => void holders.set(holder, image),
    release: (holder) => void holders.delete(holder),
    root: async () => ({ form: "directories", layers: ["/layers/1"] }),
    contents: notHere("contents"),
    list: notHere("list"),
    tag: notHere("tag"),
    remove: notHere("remove"),
    pull: notHere("pull"),
    checkLogin: notHere("checkLogin"),
    push: notHere("push"),
    load: notHere("load"),
    import: notHere("import"),
    save: notHere("save"),
    settled: async () => {},
    collect: notHere("collect"),
  };
}

export interface MemoryNetworks extends Networks {
  readonly members: ReadonlyMap<string, NetworkSpec>;
}

export function memoryNetworks(): MemoryNetworks {
  const members = new Map<string, NetworkSpec>();
  let next = 2;
  const join = (workload: string, network: string, wishes: readonly PortWish[]): NetworkSpec => {
    const known = members.get(workload);
    if (known !== undefined) return known;
    if (network === "none" || network === "host") return { kind: network };
    const taken = new Set([...members.values()].flatMap((spec) => (spec.kind === "bridge" ? spec.ports.map(({ hostPort }) => hostPort) : [])));
    for (const { hostPort } of wishes) if (taken.has(hostPort)) throw new Failure("ALREADY_EXISTS", `port ${hostPort} is already allocated`);
    const spec: NetworkSpec = {
      kind: "bridge",
      bridge: "br0",
      interfaceName: "eth0",
      address: `10.0.0.${next++}`,
      prefixLength: 24,
      gateway: "10.0.0.1",
      mac: "02:00:00:00:00:01",
      mtu: 1500,
      ports: wishes.map((wish) => ({ ...wish, hostPort: wish.hostPort || 40_000 + next })),
    };
    members.set(workload, spec);
    return spec;
  };
  return {
    members,
    list: notHere("list"),
    get: (reference) => {
      if (reference !== "bridge") throw new Failure("NOT_FOUND", `network ${reference} not found`);
      return { id: "1", name: "bridge" } as ReturnType<Networks["get"]>;
    },
    join: async (workload, network, ports) => join(workload, network, ports),
    leave: (workload) => void members.delete(workload),
    resolvConf: async () => "nameserver 10.0.0.1\n",
    hosts: ({ hostname, address }) => `127.0.0.1 localhost\n${address ?? "127.0.1.1"} ${hostname}\n`,
    restore: (workload, spec) => void (spec.kind === "bridge" && members.set(workload, spec)),
  };
}

export interface MemoryVolumes extends Volumes {
  readonly volumes: ReadonlyMap<string, VolumeView>;
  /** `NAME PATH` of each fill. */
  readonly fills: readonly string[];
}

export function memoryVolumes(root: string): MemoryVolumes {
  const volumes = new Map<string, VolumeView>();
  const holders = new Map<string, Set<string>>();
  const makers = new Map<string, string>();
  const fills: string[] = [];
  let count = 0;
  const get = (name: string): VolumeView => {
    const volume = volumes.get(name);
    if (volume === undefined) throw new Failure("NOT_FOUND", `no such volume: ${name}`);
    return volume;
  };
  return {
    volumes,
    get,
    fills,
    fill: async (name, { path }) => void fills.push(`${get(name).name} ${path}`),
    keep: (workload) => {
      for (const [name, maker] of makers) if (maker === workload) makers.delete(name);
    },
    abandon: async (workload) => {
      for (const [name, maker] of makers) if (maker === workload) volumes.delete(name);
    },
    sweep: async (isThere) => {
      for (const [name, maker] of makers) if (!isThere(maker)) volumes.delete(name);
    },
    diskUse: async (names) => names.map(() => 4096),
    create: async ({ name = `anonymous${++count}`, labels = {}, madeFor }) => {
      if (madeFor !== undefined) makers.set(name, madeFor);
      const volume = volumes.get(name) ?? { name, directory: `${root}/volumes/${name}`, createdAt: "", labels, anonymous: name.startsWith("anonymous") };
      volumes.set(name, volume);
      return volume;
    },
    list: () => [...volumes.values()],
    remove: async (name) => {
      if ((holders.get(name)?.size ?? 0) > 0) throw new Failure("WRONG_STATE", `volume ${name} is in use`);
      volumes.delete(name);
    },
    bind: async ({ source, target, readOnly }) => {
      if (source.startsWith("/missing")) throw new Failure("INVALID_SPEC", `bind source path does not exist: ${source}`);
      return { kind: "bind", source, target, readOnly };
    },
    hold: (name, holder) => void holders.set(name, (holders.get(name) ?? new Set()).add(holder)),
    release: (holder) => {
      for (const set of holders.values()) set.delete(holder);
    },
  };
}
