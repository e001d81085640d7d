/** Which network a workload joins: one, by `NetworkMode` or by the only endpoint that is named. */

import { Failure, quote } from "../../contract/failure.ts";
import type { CreateBody, HostConfigBody } from "./create-shape.ts";

const OWN_NETWORKS = new Set(["default", "bridge", "host", "none"]);

/** Rejects UNSUPPORTED for several networks, another workload's network, fixed addresses. */
export function readNetwork(body: CreateBody, host: HostConfigBody): { readonly network: string; readonly networkByDefault?: true } {
  const endpoints = Object.entries(body.NetworkingConfig?.EndpointsConfig ?? {});
  if (endpoints.length > 1) throw unsupported("a workload joins one network, and several were named", "Name one network.");
  for (const [name, endpoint] of endpoints) {
    if (Object.values(endpoint?.IPAMConfig ?? {}).some((value) => value !== null && value !== "" && (!Array.isArray(value) || value.length > 0))) {
      throw unsupported(`a fixed address on network ${quote(name)} cannot be given`, "Leave --ip, --ip6 and --link-local-ip out.");
    }
    if (endpoint?.MacAddress) throw macRefused();
    if ((endpoint?.Links ?? []).length > 0) throw unsupported(`Links of the endpoint on network ${quote(name)} are not carried out`, "Leave --link out.");
    if (Object.keys(endpoint?.DriverOpts ?? {}).length > 0)
      throw unsupported(`DriverOpts of the endpoint on network ${quote(name)} are not carried out`, "Leave driver-opt out of --network.");
    if ((endpoint?.Aliases ?? []).length > 0 && OWN_NETWORKS.has(name))
      throw new Failure("INVALID_SPEC", "network-scoped aliases are only supported for user-defined networks", { remedy: "Leave --network-alias out." });
  }
  if (body.MacAddress) throw macRefused();
  if (body.NetworkDisabled === true) return { network: "none" };
  const mode = host.NetworkMode || "default";
  if (mode.startsWith("container:")) throw unsupported("joining another container's network is not carried out", "Use a network that both join.");
  const named = endpoints[0]?.[0];
  const chosen = mode === "default" && named !== undefined ? named : mode;
  return chosen === "default" ? { network: "bridge", networkByDefault: true } : { network: chosen };
}

function macRefused(): Failure {
  return unsupported("a MAC address cannot be chosen", "Leave --mac-address out.");
}

function unsupported(what: string, remedy: string): Failure {
  return new Failure("UNSUPPORTED", what, { remedy });
}
