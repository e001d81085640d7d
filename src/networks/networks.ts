/**
 * The networks of a daemon: `bridge`, `host` and `none`, always there.
 *
 * A workload's way: `join` reserves an address and ports and makes the bridge stand → the supervisor binds the ports and joins the bridge →
 * `leave` gives both back. Reservations live in memory; after a restart the engine tells them again by `restore`. What is stored is the
 * choice of the subnet, so that addresses stay what they are.
 */

import { createHash } from "node:crypto";
import type { Call } from "../contract/call.ts";
import { Failure, quote } from "../contract/failure.ts";
import type { NetworkSpec } from "../contract/spec.ts";
import type { Collection } from "../state/index.ts";
import { type BridgeLauncher, Bridges } from "./bridges.ts";
import { type ReadHostFile, readHostFile, readUplinkMtu, readUsedRanges } from "./host-network.ts";
import type { Networks, NetworkView, PortWish } from "./index.ts";
import { findAddress, formatAddress, formatRange, macOf, overlaps, parseRange } from "./ipv4.ts";
import { FALLBACK_RESOLVERS, writeHosts, writeResolvConf } from "./name-files.ts";
import { HostPorts } from "./ports.ts";
import { choosePool, DEFAULT_POOLS, OLDER_SLICE_PREFIX, type Slice, SLICE_PREFIX, Subnet } from "./subnet.ts";

/** A network as it is stored, by its name. */
export interface NetworkRecord {
  readonly version: 1;
  readonly createdAt: string;
  /** Chosen when the first workload joined. */
  readonly subnet?: string;
  /** How the subnet is cut: what runs in it keeps its bridge and its gateway over an upgrade. */
  readonly slicePrefix?: number;
}

export interface NetworksOptions {
  /** Six hexadecimal digits, from the launcher's hello. */
  readonly rootId: string;
  readonly launcher: BridgeLauncher;
  readonly store: Collection<NetworkRecord>;
  /** Ranges to choose the subnet from, the first free one. */
  readonly pools?: readonly string[];
  readonly fallbackResolvers?: readonly string[];
  /** Whether members of the bridge reach clouds' metadata services; false where it is left out. */
  readonly metadata?: boolean;
  readonly readFile?: ReadHostFile;
  readonly now?: () => number;
}

type BridgeSpec = Extract<NetworkSpec, { kind: "bridge" }>;

const DRIVERS = { bridge: "bridge", host: "host", none: "null" } as const;
type Name = keyof typeof DRIVERS;

/** Throws INVALID_SPEC where a pool is no range. */
export function openNetworks(options: NetworksOptions): Networks {
  return new DefaultNetworks(options);
}

class DefaultNetworks implements Networks {
  readonly #options: NetworksOptions;
  readonly #read: ReadHostFile;
  readonly #bridges: Bridges;
  readonly #ports: HostPorts;
  readonly #members = new Map<string, BridgeSpec>();
  readonly #pools;
  #subnet: Subnet | undefined;
  #mtu: number | undefined;

  constructor(options: NetworksOptions) {
    this.#options = options;
    this.#read = options.readFile ?? readHostFile;
    this.#pools = (options.pools ?? DEFAULT_POOLS).map(parseRange);
    this.#bridges = new Bridges(options.launcher, options.now ?? Date.now);
    this.#ports = new HostPorts(this.#read);
    for (const name of Object.keys(DRIVERS)) this.#ensureRecord(name);
    const { subnet: chosen, slicePrefix } = options.store.get("bridge") ?? {};
    if (chosen !== undefined) this.#subnet = new Subnet(parseRange(chosen), slicePrefix ?? OLDER_SLICE_PREFIX);
  }

  list(): readonly NetworkView[] {
    return (Object.keys(DRIVERS) as Name[]).map((name) => this.#view(name));
  }

  get(reference: string): NetworkView {
    const views = this.list();
    const named = views.find(({ name, id }) => name === reference || id === reference);
    const begun = reference === "" ? [] : views.filter(({ id }) => id.startsWith(reference));
    const found = named ?? (begun.length === 1 ? begun[0] : undefined);
    if (found === undefined) throw new Failure("NOT_FOUND", `network ${quote(reference)} not found`, { remedy: "bulkhead network ls shows which there are" });
    return found;
  }

  async join(workload: string, network: string, wishes: readonly PortWish[], call: Call): Promise<NetworkSpec> {
    const { driver } = this.get(network);
    if (driver !== "bridge") return { kind: driver === "host" ? "host" : "none" };
    const subnet = this.#currentSubnet();
    const known = this.#members.get(workload);
    // A reservation from before the subnet was chosen anew is of no use any more.
    if (known !== undefined && !subnet.contains(numberOf(known.address))) this.leave(workload);
    const spec = this.#members.get(workload) ?? this.#reserve(workload, wishes);
    try {
      await this.#bridges.ensure(this.#bridgeAsk(subnet.sliceOf(numberOf(spec.address))), call);
    } catch (thrown) {
      this.leave(workload);
      throw thrown;
    }
    return spec;
  }

  leave(workload: string): void {
    const spec = this.#members.get(workload);
    if (spec === undefined) return;
    this.#members.delete(workload);
    this.#ports.release(workload, spec.ports);
    this.#subnet?.release(numberOf(spec.address));
  }

  async resolvConf(options: Parameters<Networks["resolvConf"]>[0]): Promise<string> {
    return writeResolvConf(options, this.#read, this.#options.fallbackResolvers ?? FALLBACK_RESOLVERS);
  }

  hosts(options: Parameters<Networks["hosts"]>[0]): string {
    return writeHosts(options);
  }

  restore(workload: string, spec: NetworkSpec): void {
    if (spec.kind !== "bridge" || this.#members.has(workload)) return;
    this.#members.set(workload, spec);
    this.#ports.hold(workload, spec.ports);
    this.#subnet?.hold(numberOf(spec.address));
  }

  #reserve(workload: string, wishes: readonly PortWish[]): BridgeSpec {
    const subnet = this.#currentSubnet();
    const ports = this.#ports.take(workload, wishes);
    let taken: ReturnType<Subnet["take"]>;
    try {
      taken = subnet.take();
    } catch (thrown) {
      this.#ports.release(workload, ports);
      throw thrown;
    }
    const { slice, address } = taken;
    this.#mtu ??= readUplinkMtu(this.#read);
    const spec: BridgeSpec = {
      kind: "bridge",
      bridge: this.#bridgeName(slice),
      interfaceName: "eth0",
      address: formatAddress(address),
      prefixLength: slice.range.prefixLength,
      gateway: formatAddress(slice.gateway),
      mac: macOf(address),
      mtu: this.#mtu,
      ports,
    };
    this.#members.set(workload, spec);
    return spec;
  }

  /** The subnet is chosen when it is first needed, and again when nobody is in it and the host has meanwhile got a route that overlaps. */
  #currentSubnet(): Subnet {
    if (this.#subnet !== undefined && this.#mtu !== undefined) return this.#subnet;
    const used = readUsedRanges(this.#read, `bh${this.#options.rootId}`);
    const known = this.#subnet;
    const keeps = known !== undefined && (this.#members.size > 0 || !used.some((range) => overlaps(known.range, range)));
    const subnet = keeps ? known : new Subnet(choosePool(this.#pools, used));
    this.#mtu = readUplinkMtu(this.#read);
    if (subnet === known) return subnet;
    this.#subnet = subnet;
    this.#options.store.put("bridge", { ...this.#ensureRecord("bridge"), subnet: formatRange(subnet.range), slicePrefix: SLICE_PREFIX }, { durable: true });
    return subnet;
  }

  #bridgeAsk(slice: Slice) {
    const { gateway, range } = slice;
    this.#mtu ??= readUplinkMtu(this.#read);
    const { metadata = false } = this.#options;
    return { bridge: this.#bridgeName(slice), address: formatAddress(gateway), prefixLength: range.prefixLength, mtu: this.#mtu, masquerade: true, metadata };
  }

  #bridgeName({ index }: Pick<Slice, "index">): string {
    return `bh${this.#options.rootId}0${index === 0 ? "" : `-${index}`}`;
  }

  #ensureRecord(name: string): NetworkRecord {
    const { store, now = Date.now } = this.#options;
    const known = store.get(name);
    if (known !== undefined) return known;
    const record: NetworkRecord = { version: 1, createdAt: new Date(now()).toISOString() };
    store.put(name, record);
    return record;
  }

  #view(name: Name): NetworkView {
    const bridged = name === "bridge";
    const subnet = bridged ? this.#subnet : undefined;
    const members = bridged ? [...this.#members].map(([workload, { address, mac }]) => ({ workload, address, mac })) : [];
    return {
      id: createHash("sha256").update(`${this.#options.rootId}/${name}`).digest("hex"),
      name,
      driver: DRIVERS[name],
      createdAt: this.#ensureRecord(name).createdAt,
      subnet: subnet === undefined ? undefined : formatRange(subnet.range),
      gateway: subnet === undefined ? undefined : formatAddress(subnet.slice(0).gateway),
      bridge: bridged ? this.#bridgeName({ index: 0 }) : undefined,
      labels: {},
      members,
    };
  }
}

function numberOf(address: string): number {
  const number = findAddress(address);
  if (number === undefined) throw new Failure("CORRUPT_DATA", `a stored reservation has the address ${quote(address)}`);
  return number;
}
