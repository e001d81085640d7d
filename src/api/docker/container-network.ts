/** A workload's network in Docker's words: addresses only while it stands, ports as they were really given. */

import type { NetworkSpec } from "../../contract/spec.ts";
import type { WorkloadView } from "../../engine/index.ts";
import type { Networks } from "../../networks/index.ts";
import { isStanding } from "./container-state.ts";
import { echoPart } from "./echo.ts";

type Bridge = Extract<NetworkSpec, { kind: "bridge" }>;

function bridgeOf(view: WorkloadView): Bridge | undefined {
  return isStanding(view) && view.network?.kind === "bridge" ? view.network : undefined;
}

/** `NetworkSettings` of an inspect. */
export function networkSettings(view: WorkloadView, networks: Networks, exposed: readonly string[]): object {
  const bridge = bridgeOf(view);
  return {
    Bridge: "",
    SandboxID: bridge === undefined ? "" : view.id,
    SandboxKey: "",
    Ports: portMap(view, exposed),
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge === undefined ? "" : view.id,
    Gateway: bridge?.gateway ?? "",
    GlobalIPv6Address: "",
    GlobalIPv6PrefixLen: 0,
    IPAddress: bridge?.address ?? "",
    IPPrefixLen: bridge?.prefixLength ?? 0,
    IPv6Gateway: "",
    MacAddress: bridge?.mac ?? "",
    Networks: endpoints(view, networks),
  };
}

/** The one network that a workload is on, as both inspect and list show it. */
export function endpoints(view: WorkloadView, networks: Networks): Readonly<Record<string, object>> {
  const bridge = bridgeOf(view);
  const aliases = (echoPart(view.request.adapter, "NetworkingConfig").EndpointsConfig ?? {}) as Record<string, { Aliases?: readonly string[] }>;
  return {
    [view.networkName]: {
      IPAMConfig: null,
      Links: null,
      Aliases: aliases[view.networkName]?.Aliases ?? null,
      MacAddress: bridge?.mac ?? "",
      DriverOpts: null,
      GwPriority: 0,
      NetworkID: networkId(view.networkName, networks),
      EndpointID: bridge === undefined ? "" : view.id,
      Gateway: bridge?.gateway ?? "",
      IPAddress: bridge?.address ?? "",
      IPPrefixLen: bridge?.prefixLength ?? 0,
      IPv6Gateway: "",
      GlobalIPv6Address: "",
      GlobalIPv6PrefixLen: 0,
      DNSNames: null,
    },
  };
}

function networkId(name: string, networks: Networks): string {
  return networks.list().find((network) => network.name === name)?.id ?? "";
}

/** `{"80/tcp": [{HostIp, HostPort}], "81/tcp": null}`: bound ports with their bindings, exposed ones without. */
function portMap(view: WorkloadView, exposed: readonly string[]): Readonly<Record<string, readonly object[] | null>> {
  if (!isStanding(view)) return {};
  const map: Record<string, object[] | null> = {};
  for (const key of exposed) map[key] = null;
  for (const port of bridgeOf(view)?.ports ?? []) {
    const key = `${port.workloadPort}/${port.protocol}`;
    map[key] = [...(map[key] ?? []), { HostIp: port.hostAddress, HostPort: String(port.hostPort) }];
  }
  return map;
}

/** `Ports` of a list: one entry per binding. */
export function portList(view: WorkloadView, exposed: readonly string[]): readonly object[] {
  const list: object[] = [];
  for (const [key, bindings] of Object.entries(portMap(view, exposed))) {
    const [port, type] = key.split("/");
    const base = { PrivatePort: Number(port), Type: type };
    if (bindings === null) list.push(base);
    for (const { hostAddress, hostPort, ...rest } of bridgeOf(view)?.ports ?? []) {
      if (`${rest.workloadPort}/${rest.protocol}` === key) list.push({ IP: hostAddress, ...base, PublicPort: hostPort });
    }
  }
  return list;
}
