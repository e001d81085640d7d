/** Compose files: services as workloads. Short and long forms; what extends another file is not followed. */

import { capabilityName } from "../../contract/privilege.ts";
import { Failure } from "../../contract/failure.ts";
import { type Edit, type MountView, NAMESPACES, type Namespace, type PortView, type WorkloadView } from "../view.ts";
import { readModes, withOption } from "./create.ts";
import { acceptedIn, type Fields, fieldsOf, isFields, listOf, pairsOf, securityOptionsOf, textOf, textsOf } from "./fields.ts";

const MODES: Readonly<Record<Namespace, string>> = { network: "network_mode", pid: "pid", ipc: "ipc", uts: "uts", user: "userns_mode", cgroup: "cgroup" };
const UNITS: Readonly<Record<string, number>> = { "": 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

export function readCompose(document: Fields): readonly WorkloadView[] {
  const services = document["services"];
  if (!isFields(services)) throw new Failure("INVALID_SPEC", "the compose file has no services", { remedy: "Give a file with `services:`." });
  return Object.entries(services).map(([name, service]) => readService(name, fieldsOf(service)));
}

function readService(name: string, service: Fields): WorkloadView {
  const limits = fieldsOf(fieldsOf(fieldsOf(service["deploy"])["resources"])["limits"]);
  const asked = textOf(service["isolation"]) || textOf(service["runtime"]);
  return {
    name,
    boundary: asked === "" || asked === "default" ? undefined : { kind: asked, emulated: false },
    // What is built here has the name that its builder gives it.
    image: service["build"] === undefined ? textOf(service["image"]) : "",
    user: textOf(service["user"]),
    command: [...textsOf(service["entrypoint"]), ...textsOf(service["command"])].flatMap((word) => word.split(/\s+/)),
    environment: Object.entries(pairsOf(service["environment"])).map(([variable, value]) => (value === "" ? variable : `${variable}=${value}`)),
    privileged: service["privileged"] === true,
    capabilitiesAdded: textsOf(service["cap_add"]).map(capabilityName),
    capabilitiesDropped: textsOf(service["cap_drop"]).map(capabilityName),
    hostNamespaces: NAMESPACES.filter((namespace) => textOf(service[MODES[namespace]]) === "host"),
    securityOptions: securityOptionsOf(textsOf(service["security_opt"])),
    unmasked: textsOf(service["security_opt"]).some((option) => /^systempaths[=:]unconfined$/.test(option)),
    readOnlyRoot: service["read_only"] === true,
    mounts: listOf(service["volumes"]).map(readVolume),
    devices: listOf(service["devices"]).map((device) => (isFields(device) ? textOf(device["source"]) : (textOf(device).split(":", 1)[0] ?? ""))),
    sysctls: pairsOf(service["sysctls"]),
    memoryBytes: bytesOf(service["mem_limit"]) || bytesOf(limits["memory"]),
    pids: Math.max(0, Number(service["pids_limit"] ?? limits["pids"] ?? 0) || 0),
    cpus: Number(service["cpus"] ?? limits["cpus"] ?? 0) || Number(service["cpu_shares"] ?? 0) / 1024 || 0,
    ports: listOf(service["ports"]).map(readPort),
    restart: textOf(service["restart"]).split(":", 1)[0] ?? "",
    healthCheck: isFields(service["healthcheck"]) && service["healthcheck"]["disable"] !== true,
    labels: pairsOf(service["labels"]),
    accepted: acceptedIn(pairsOf(service["labels"])),
  };
}

function bytesOf(value: unknown): number {
  if (typeof value === "number") return value;
  const [, count = "0", unit = ""] = /^([\d.]+)\s*([bkmg]?)b?$/i.exec(textOf(value)) ?? [];
  return Number(count) * (UNITS[unit.toLowerCase()] ?? 1);
}

function readVolume(volume: unknown): MountView {
  if (isFields(volume))
    return {
      source: volume["type"] === "tmpfs" ? "" : textOf(volume["source"]),
      target: textOf(volume["target"]),
      readOnly: volume["read_only"] === true,
      propagation: textOf(fieldsOf(volume["bind"])["propagation"]),
    };
  const parts = textOf(volume).split(":");
  const [source = "", target = parts[0] ?? "", modes = ""] = parts.length === 1 ? ["", parts[0]] : parts;
  return { source, target, ...readModes(modes) };
}

/** `[ADDRESS:][PUBLISHED:]TARGET[/PROTOCOL]`, or the long form. */
function readPort(port: unknown): PortView {
  if (isFields(port)) {
    const published = textOf(port["published"]);
    const name = `${textOf(port["target"])}/${textOf(port["protocol"]) || "tcp"}`;
    return { port: name, hostAddress: textOf(port["host_ip"]), hostPort: published === "" ? undefined : Number(published.split("-")[0]) };
  }
  const [, address = "", published = "", target = "", protocol = "tcp"] =
    /^(?:(\[.*\]|\d+(?:\.\d+){3}):)?(?:([\d-]*):)?([\d-]+)(?:\/(\w+))?$/.exec(textOf(port)) ?? [];
  return { port: `${target}/${protocol}`, hostAddress: address, hostPort: published === "" ? undefined : Number(published.split("-")[0]) };
}

export function editCompose(document: Fields, name: string, edit: Edit): Fields {
  const services = fieldsOf(document["services"]);
  const service = fieldsOf(services[name]);
  const changed = Object.fromEntries(Object.entries({ ...service, ...serviceEdit(service, edit) }).filter(([, value]) => value !== undefined));
  return { ...document, services: { ...services, [name]: changed } };
}

function serviceEdit(service: Fields, edit: Edit): Fields {
  switch (edit.kind) {
    case "unprivileged":
      return { privileged: undefined };
    case "without-capability":
      return { cap_add: some(textsOf(service["cap_add"]).filter((one) => capabilityName(one) !== edit.capability)) };
    case "drop-capabilities":
      return { cap_drop: ["ALL"] };
    case "own-namespace":
      return { [MODES[edit.namespace]]: undefined };
    case "security-option":
      return { security_opt: some(withOption(textsOf(service["security_opt"]), edit.name, edit.value)) };
    case "mask-paths":
      return { security_opt: some(withOption(textsOf(service["security_opt"]), "systempaths", undefined)) };
    case "without-mount":
      return { volumes: some(listOf(service["volumes"]).filter((volume) => readVolume(volume).target !== edit.target)) };
    case "private-mount":
      return { volumes: listOf(service["volumes"]).map((volume) => madePrivate(volume, edit.target)) };
    case "without-device":
      return { devices: some(listOf(service["devices"]).filter((device) => textOf(device).split(":", 1)[0] !== edit.path)) };
    case "without-sysctl":
      return { sysctls: Object.fromEntries(Object.entries(pairsOf(service["sysctls"])).filter(([one]) => one !== edit.name)) };
    case "read-only-root":
      return { read_only: true, tmpfs: [...new Set([...textsOf(service["tmpfs"]), "/tmp", "/run"])] };
    case "memory":
      return { mem_limit: edit.bytes };
    case "pids":
      return { pids_limit: edit.most };
    case "cpus":
      return { cpus: edit.cpus };
    case "loopback":
      return { ports: listOf(service["ports"]).map((port) => (readPort(port).port === edit.port ? onLoopback(port) : port)) };
    case "user":
      return { user: edit.user };
    case "restart-on-failure":
      return { restart: "on-failure:5" };
  }
}

function madePrivate(volume: unknown, target: string): unknown {
  if (readVolume(volume).target !== target) return volume;
  return isFields(volume) ? { ...volume, bind: { ...fieldsOf(volume["bind"]), propagation: "private" } } : textOf(volume).replace(/\br?shared\b/, "private");
}

function onLoopback(port: unknown): unknown {
  if (isFields(port)) return { ...port, host_ip: "127.0.0.1" };
  const { port: name, hostPort } = readPort(port);
  return `127.0.0.1:${hostPort ?? ""}:${name.replace("/tcp", "")}`;
}

function some<T>(values: readonly T[]): readonly T[] | undefined {
  return values.length > 0 ? values : undefined;
}
