/** Ports of the host: who of ours has which. What other programs hold is found when the supervisor binds. */

import { Failure, quote } from "../contract/failure.ts";
import type { PortSpec } from "../contract/spec.ts";
import { readPortsInUse, type ReadHostFile } from "./host-network.ts";
import type { PortWish } from "./index.ts";
import { findAddress } from "./ipv4.ts";

/** Where free ports are looked for: above what the kernel usually gives to outgoing connections' first half. */
const FIRST_FREE = 49_153;
const LAST_FREE = 65_535;
const ANY = "0.0.0.0";

interface Holder {
  readonly workload: string;
  readonly hostAddress: string;
}

export class HostPorts {
  readonly #read: ReadHostFile;
  readonly #holders = new Map<string, Holder[]>();
  #next = FIRST_FREE;

  constructor(read: ReadHostFile) {
    this.#read = read;
  }

  /** Gives every wish a port, or none: ALREADY_EXISTS names the workload that holds it, INVALID_SPEC and UNSUPPORTED what cannot be. */
  take(workload: string, wishes: readonly PortWish[]): readonly PortSpec[] {
    const taken: PortSpec[] = [];
    try {
      for (const wish of wishes) taken.push(this.#takeOne(workload, wish));
    } catch (thrown) {
      this.release(workload, taken);
      throw thrown;
    }
    return taken;
  }

  hold(workload: string, ports: readonly PortSpec[]): void {
    for (const port of ports) this.#hold(workload, port);
  }

  release(workload: string, ports: readonly PortSpec[]): void {
    for (const port of ports) {
      const key = keyOf(port);
      const left = (this.#holders.get(key) ?? []).filter((holder) => holder.workload !== workload || holder.hostAddress !== port.hostAddress);
      if (left.length === 0) this.#holders.delete(key);
      else this.#holders.set(key, left);
    }
  }

  #takeOne(workload: string, wish: PortWish): PortSpec {
    const { protocol, workloadPort } = wish;
    const hostAddress = checkAddress(wish.hostAddress);
    if (!isPort(workloadPort) || !(wish.hostPort === 0 || isPort(wish.hostPort)))
      throw new Failure("INVALID_SPEC", `${wish.hostPort}:${workloadPort} is not a pair of ports between 1 and 65535`);
    const hostPort = wish.hostPort === 0 ? this.#findFree(protocol, hostAddress) : wish.hostPort;
    const port = { protocol, hostAddress, hostPort, workloadPort };
    const holder = this.#findHolder(port);
    if (holder !== undefined)
      throw new Failure("ALREADY_EXISTS", `port ${hostAddress}:${hostPort}/${protocol} is already published by workload ${holder.workload.slice(0, 12)}`, {
        workload,
        remedy: "publish another port, or remove that workload",
      });
    this.#hold(workload, port);
    return port;
  }

  #hold(workload: string, port: PortSpec): void {
    const key = keyOf(port);
    this.#holders.set(key, [...(this.#holders.get(key) ?? []), { workload, hostAddress: port.hostAddress }]);
  }

  #findHolder(port: PortSpec): Holder | undefined {
    const same = (holder: Holder) => holder.hostAddress === ANY || port.hostAddress === ANY || holder.hostAddress === port.hostAddress;
    return this.#holders.get(keyOf(port))?.find(same);
  }

  /** The next one round that neither we nor the host use; each is given once before any is given again. */
  #findFree(protocol: "tcp" | "udp", hostAddress: string): number {
    const inUse = readPortsInUse(this.#read, protocol);
    for (let tries = FIRST_FREE; tries <= LAST_FREE; tries++) {
      const hostPort = this.#next;
      this.#next = hostPort === LAST_FREE ? FIRST_FREE : hostPort + 1;
      if (!inUse.has(hostPort) && this.#findHolder({ protocol, hostAddress, hostPort, workloadPort: 0 }) === undefined) return hostPort;
    }
    throw new Failure("EXHAUSTED", `no ${protocol} port between ${FIRST_FREE} and ${LAST_FREE} is free on the host`);
  }
}

function checkAddress(text: string): string {
  if (text === "" || text === ANY) return ANY;
  if (text.includes(":"))
    throw new Failure("UNSUPPORTED", `ports cannot be published on the IPv6 address ${quote(text)} yet`, { remedy: "publish on an IPv4 address, or on all" });
  if (findAddress(text) === undefined) throw new Failure("INVALID_SPEC", `${quote(text)} is not an address of the host to publish on`);
  return text;
}

const keyOf = ({ protocol, hostPort }: Pick<PortSpec, "protocol" | "hostPort">) => `${protocol}/${hostPort}`;
const isPort = (number: number) => Number.isInteger(number) && number >= 1 && number <= 65_535;
