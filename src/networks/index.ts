/** Networks: bridges, addresses, ports, names. This file is the whole face of the folder. */

import type { Call } from "../contract/call.ts";
import type { NetworkSpec } from "../contract/spec.ts";

export interface NetworkView {
  readonly id: string;
  readonly name: string;
  readonly driver: "bridge" | "host" | "null";
  readonly createdAt: string;
  readonly subnet: string | undefined;
  readonly gateway: string | undefined;
  readonly bridge: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly members: readonly { readonly workload: string; readonly address: string; readonly mac: string }[];
}

export interface PortWish {
  readonly protocol: "tcp" | "udp";
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly workloadPort: number;
}

export interface Networks {
  list(): readonly NetworkView[];
  get(reference: string): NetworkView;
  /**
   * Reserves an address and ports for a workload and gives the spec that drivers carry out. The bridge stands when it
   * resolves. Rejects NOT_FOUND for an unknown network, ALREADY_EXISTS for a port that another workload holds, EXHAUSTED.
   * Idempotent for the same workload.
   */
  join(workload: string, network: string, ports: readonly PortWish[], call: Call): Promise<NetworkSpec>;
  /** Gives address and ports back. Idempotent, at once. */
  leave(workload: string): void;
  /** /etc/resolv.conf for a workload: the host's, without resolvers that only the host can reach. */
  resolvConf(options: {
    readonly dns: readonly string[];
    readonly search: readonly string[];
    readonly options: readonly string[];
    readonly network: string;
  }): Promise<string>;
  hosts(options: {
    readonly hostname: string;
    readonly domainName?: string;
    readonly address?: string;
    readonly extra: readonly string[];
    readonly gateway?: string;
  }): string;
  /** What the store remembers of reservations, after a restart. */
  restore(workload: string, spec: NetworkSpec): void;
}
