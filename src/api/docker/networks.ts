/** `/networks`: those that stand. Making and joining more of them is not carried out yet, and says so. */

import { Failure } from "../../contract/failure.ts";
import type { NetworkView } from "../../networks/index.ts";
import type { Route } from "../router.ts";
import { Filters, matchesName } from "./filters.ts";
import type { DockerParts } from "./parts.ts";

const FILTERS = ["driver", "id", "label", "name", "scope", "type", "dangling"];

export function networkRoutes(parts: DockerParts): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/networks",
      handle(exchange) {
        const filters = new Filters(exchange.query.text("filters"), FILTERS);
        const dangling = filters.flag("dangling");
        const chosen = parts.networks.list().filter(
          (network) =>
            filters.any("driver", (driver) => driver === network.driver) &&
            filters.any("id", (id) => network.id.startsWith(id)) &&
            filters.any("name", (name) => matchesName(name, network.name)) &&
            filters.any("scope", (scope) => scope === "local") &&
            // Every network that stands here is one that the daemon made itself.
            filters.any("type", (type) => type === "builtin") &&
            dangling !== true &&
            filters.labels(network.labels),
        );
        exchange.json(
          200,
          chosen.map((network) => networkJson(parts, network)),
        );
      },
    },
    {
      method: "GET",
      path: "/networks/{id}",
      handle: (exchange) => exchange.json(200, networkJson(parts, parts.networks.get(exchange.parameter("id")))),
    },
    {
      method: "DELETE",
      path: "/networks/{id}",
      handle(exchange) {
        const { name } = parts.networks.get(exchange.parameter("id"));
        throw new Failure("UNSUPPORTED", `${name} is a pre-defined network and cannot be removed`, { remedy: "Nothing needs to be done: it costs nothing." });
      },
    },
  ];
}

function networkJson(parts: DockerParts, network: NetworkView): object {
  const names = new Map(parts.engine.list().map((view) => [view.id, view.name]));
  const prefix = network.subnet?.split("/")[1] ?? "0";
  return {
    Name: network.name,
    Id: network.id,
    Created: network.createdAt,
    Scope: "local",
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: {
      Driver: "default",
      Options: null,
      Config: network.subnet === undefined ? [] : [{ Subnet: network.subnet, ...(network.gateway === undefined ? {} : { Gateway: network.gateway }) }],
    },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: Object.fromEntries(
      network.members.map(({ workload, address, mac }) => [
        workload,
        { Name: names.get(workload) ?? "", EndpointID: workload, MacAddress: mac, IPv4Address: `${address}/${prefix}`, IPv6Address: "" },
      ]),
    ),
    Options: network.bridge === undefined ? {} : { "com.docker.network.bridge.name": network.bridge },
    Labels: network.labels,
  };
}
