/**
 * The subnet of one network, and who has which address of it.
 *
 * A Linux bridge carries at most 1,023 members, and fewer well: a broadcast puts one packet for each of them into a queue of the host
 * that holds 1,000 (net.core.netdev_max_backlog), and the gateway's answer after them is dropped where they are more. So a subnet is cut
 * into slices of 509 members, each with a bridge and a gateway of its own; the host routes between them. A slice's bridge is made when
 * the slices before it are full. A subnet of a /23 or less is one slice.
 */

import { Failure } from "../contract/failure.ts";
import { formatAddress, formatRange, overlaps, type Range, sizeOf } from "./ipv4.ts";

/** 512 addresses: without the first, the gateway's and the last, about half of what the host's queue holds. */
export const SLICE_PREFIX = 23;
/** Of subnets that were chosen before slices were noted. */
export const OLDER_SLICE_PREFIX = 22;

export interface Slice {
  readonly index: number;
  readonly range: Range;
  /** The bridge's own address, the gateway of its members. */
  readonly gateway: number;
}

export class Subnet {
  readonly range: Range;
  readonly #slicePrefix: number;
  readonly #used = new Set<number>();
  readonly #next = new Map<number, number>();

  constructor(range: Range, slicePrefix: number = SLICE_PREFIX) {
    this.range = range;
    this.#slicePrefix = slicePrefix;
  }

  /** Takes the address that has been free for longest in the first slice with a free one. Throws EXHAUSTED. */
  take(): { readonly slice: Slice; readonly address: number } {
    for (let index = 0; index < this.#slices(); index++) {
      const slice = this.slice(index);
      const address = this.#takeFrom(slice);
      if (address !== undefined) return { slice, address };
    }
    throw new Failure("EXHAUSTED", `every address of ${formatRange(this.range)} is in use`, {
      remedy: "remove workloads that have ended, or configure a larger pool for the network",
    });
  }

  /** Marks an address that is in use already. One outside the subnet is none of its business. */
  hold(address: number): void {
    if (this.contains(address)) this.#used.add(address);
  }

  contains(address: number): boolean {
    return overlaps(this.range, { base: address, prefixLength: 32 });
  }

  release(address: number): void {
    this.#used.delete(address);
  }

  slice(index: number): Slice {
    const prefixLength = Math.max(this.range.prefixLength, this.#slicePrefix);
    const base = this.range.base + index * sizeOf(prefixLength);
    return { index, range: { base, prefixLength }, gateway: base + 1 };
  }

  /** The slice that an address lies in. */
  sliceOf(address: number): Slice {
    return this.slice(Math.floor((address - this.range.base) / sizeOf(Math.max(this.range.prefixLength, this.#slicePrefix))));
  }

  #slices(): number {
    return Math.max(1, 2 ** (this.#slicePrefix - this.range.prefixLength));
  }

  /** Goes round, so that an address that has just become free is not at once somebody else's. */
  #takeFrom({ index, range, gateway }: Slice): number | undefined {
    const first = gateway + 1;
    const count = sizeOf(range.prefixLength) - 3;
    const begin = this.#next.get(index) ?? 0;
    for (let step = 0; step < count; step++) {
      const offset = (begin + step) % count;
      if (this.#used.has(first + offset)) continue;
      this.#used.add(first + offset);
      this.#next.set(index, (offset + 1) % count);
      return first + offset;
    }
    return undefined;
  }
}

/** Docker's own default, 172.17, is left to Docker. */
export const DEFAULT_POOLS: readonly string[] = [
  ...Array.from({ length: 12 }, (_, index) => `172.${20 + index}.0.0/16`),
  ...Array.from({ length: 16 }, (_, index) => `192.168.${index * 16}.0/20`),
];

/** The first pool that overlaps nothing that is in use. Throws EXHAUSTED. */
export function choosePool(pools: readonly Range[], used: readonly Range[]): Range {
  const free = pools.find((pool) => !used.some((range) => overlaps(pool, range)));
  if (free !== undefined) return free;
  const taken = used.slice(0, 5).map(({ base, prefixLength }) => `${formatAddress(base)}/${prefixLength}`);
  throw new Failure("EXHAUSTED", `every address pool overlaps a route of the host (${taken.join(", ")}, …)`, {
    remedy: "name a free range in the daemon's configuration: networks.pools",
  });
}
