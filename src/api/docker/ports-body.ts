/** Published and exposed ports. */

import { isIPv4, isIPv6 } from "node:net";
import { Failure, quote } from "../../contract/failure.ts";
import type { PortRequest, WorkloadRequest } from "../../engine/index.ts";
import type { CreateBody, HostConfigBody } from "./create-shape.ts";

type Ports = Pick<WorkloadRequest, "ports" | "exposedPorts" | "publishAll">;

/** Rejects INVALID_SPEC for a port that is none. An empty host port and "0" mean a free one. */
export function readPorts(body: CreateBody, host: HostConfigBody): Ports {
  const ports: PortRequest[] = [];
  for (const [key, bindings] of Object.entries(host.PortBindings ?? {})) {
    const { protocol, port } = readPort(key);
    for (const binding of bindings ?? []) {
      const hostPorts = readHostPort(binding.HostPort ?? "", key);
      ports.push({ protocol, hostAddress: readAddress(binding.HostIp ?? ""), hostPort: hostPorts, workloadPort: port });
    }
  }
  return { ports, exposedPorts: Object.keys(body.ExposedPorts ?? {}).map(readPort), publishAll: host.PublishAllPorts ?? false };
}

function readAddress(text: string): string {
  if (text === "" || isIPv4(text)) return text;
  if (isIPv6(text))
    throw new Failure("UNSUPPORTED", `ports cannot be published on the IPv6 address ${quote(text)} yet`, { remedy: "Publish on an IPv4 address, or on all." });
  throw new Failure("INVALID_SPEC", `invalid IP address: ${quote(text)}`, { remedy: "Write it as --publish 127.0.0.1:8080:80." });
}

/** `80/tcp`, or `80` alone for tcp. */
export function readPort(key: string): { readonly protocol: "tcp" | "udp"; readonly port: number } {
  const [number = "", protocol = "tcp"] = key.split("/");
  const port = /^\d{1,5}$/.test(number) ? Number(number) : 0;
  if (port < 1 || port > 65_535) throw new Failure("INVALID_SPEC", `invalid port specification: ${quote(key)}`);
  if (protocol === "tcp" || protocol === "udp") return { protocol, port };
  throw new Failure("UNSUPPORTED", `ports of protocol ${quote(protocol)} cannot be published`, { remedy: "Use tcp or udp." });
}

function readHostPort(text: string, key: string): number {
  if (text === "") return 0;
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  if (/^\d{1,5}-\d{1,5}$/.test(text)) {
    throw new Failure("UNSUPPORTED", `a range of host ports (${quote(text)}) for one port (${quote(key)}) is not carried out`, {
      remedy: "Name one host port, or none.",
    });
  }
  throw new Failure("INVALID_SPEC", `invalid port specification: ${quote(text)} for ${quote(key)}`);
}
