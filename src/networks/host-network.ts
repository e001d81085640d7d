/** What the host's own network looks like, read from its files: routes, resolvers, ports in use, size of packets. */

import { readFileSync } from "node:fs";
import { findAddress, type Range } from "./ipv4.ts";

/** The text of a file of the host, undefined where there is none. Small files of the kernel and of /etc alone: read at once. */
export type ReadHostFile = (path: string) => string | undefined;

export const readHostFile: ReadHostFile = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

const RESOLV_CONF = "/etc/resolv.conf";
/** systemd-resolved puts its own loopback address into the former and what it asks itself into this one. */
const RESOLVED_UPSTREAM = "/run/systemd/resolve/resolv.conf";

export interface ResolvConf {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  let search: string[] = [];
  const options: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line
      .replace(/[#;].*/, "")
      .trim()
      .split(/\s+/);
    if (keyword === "nameserver" && values[0] !== undefined) nameservers.push(values[0]);
    else if (keyword === "search" || keyword === "domain") search = values;
    else if (keyword === "options") options.push(...values);
  }
  return { nameservers, search, options };
}

/** The host's resolvers as somebody outside the host can use them: IPv4, and not on the host's loopback. */
export function readReachableResolvers(read: ReadHostFile): ResolvConf {
  const own = parseResolvConf(read(RESOLV_CONF) ?? "");
  const nameservers = own.nameservers.filter(isReachable);
  if (nameservers.length > 0) return { ...own, nameservers };
  const upstream = parseResolvConf(read(RESOLVED_UPSTREAM) ?? "");
  return { ...own, nameservers: upstream.nameservers.filter(isReachable) };
}

export function readOwnResolvConf(read: ReadHostFile): string | undefined {
  return read(RESOLV_CONF);
}

function isReachable(nameserver: string): boolean {
  return findAddress(nameserver) !== undefined && !nameserver.startsWith("127.") && nameserver !== "0.0.0.0";
}

/** Ranges that the host's routes and resolvers lie in, those of interfaces with `ownPrefix` left out. The default route is none. */
export function readUsedRanges(read: ReadHostFile, ownPrefix: string): Range[] {
  const rows = (read("/proc/net/route") ?? "").split("\n").slice(1);
  const routes = rows.flatMap((row) => {
    const fields = row.split("\t");
    const [device = "", destination = "", mask = ""] = [fields[0], fields[1], fields[7]];
    if (device === "" || device.startsWith(ownPrefix)) return [];
    const prefixLength = reversed(mask).toString(2).replaceAll("0", "").length;
    return prefixLength === 0 ? [] : [{ base: reversed(destination), prefixLength }];
  });
  const texts = [RESOLV_CONF, RESOLVED_UPSTREAM].map((path) => parseResolvConf(read(path) ?? "").nameservers);
  const resolvers = texts.flat().map(findAddress);
  return [...routes, ...resolvers.filter((address) => address !== undefined).map((base) => ({ base, prefixLength: 32 }))];
}

/** The kernel prints addresses as little-endian hexadecimal numbers. */
function reversed(hexadecimal: string): number {
  const bytes = hexadecimal.match(/../g) ?? [];
  return [...bytes].toReversed().reduce((sum, byte) => sum * 256 + Number.parseInt(byte, 16), 0);
}

/** The largest packet that the way out carries whole, at most an Ethernet's. */
export function readUplinkMtu(read: ReadHostFile): number {
  const rows = (read("/proc/net/route") ?? "").split("\n").slice(1);
  const uplink = rows.map((row) => row.split("\t")).find((fields) => fields[1] === "00000000" && fields[7] === "00000000")?.[0];
  const mtu = uplink === undefined ? 1500 : Number(read(`/sys/class/net/${uplink}/mtu`));
  return mtu >= 576 && mtu < 1500 ? mtu : 1500;
}

/** Ports of the host that a program listens on or is bound to, on whatever address. */
export function readPortsInUse(read: ReadHostFile, protocol: "tcp" | "udp"): Set<number> {
  const ports = new Set<number>();
  for (const path of [`/proc/net/${protocol}`, `/proc/net/${protocol}6`]) {
    for (const row of (read(path) ?? "").split("\n").slice(1)) {
      const [, local = "", , state] = row.trim().split(/\s+/);
      // 0A is LISTEN. A UDP socket has no such state: being there is enough.
      if (local !== "" && (protocol === "udp" || state === "0A")) ports.add(Number.parseInt(local.slice(local.lastIndexOf(":") + 1), 16));
    }
  }
  return ports;
}
