/** Documents of the Docker API: what `POST /containers/create` takes, and what an inspect answers. */

import { capabilityName } from "../../contract/privilege.ts";
import { type Edit, type MountView, NAMESPACES, type Namespace, type PortView, type WorkloadView } from "../view.ts";
import { acceptedIn, type Fields, fieldsOf, listOf, numberOf, pairsOf, securityOptionsOf, textOf, textsOf } from "./fields.ts";

const MODES: Readonly<Record<Namespace, string>> = {
  network: "NetworkMode",
  pid: "PidMode",
  ipc: "IpcMode",
  uts: "UTSMode",
  user: "UsernsMode",
  cgroup: "CgroupnsMode",
};

/** `document` is a create body, or an inspect answer with `Config` and `HostConfig`. */
export function readCreate(document: Fields, name: string): WorkloadView {
  const config = fieldsOf(document["Config"] ?? document);
  const host = fieldsOf(document["HostConfig"]);
  const health = textsOf(fieldsOf(config["Healthcheck"])["Test"]);
  return {
    name: name || textOf(document["Name"]).replace(/^\//, "") || textOf(config["Image"]) || "workload",
    boundary: boundaryOf(document, host),
    image: textOf(config["Image"]),
    user: textOf(config["User"]),
    command: [...textsOf(config["Entrypoint"]), ...textsOf(config["Cmd"])],
    environment: textsOf(config["Env"]),
    privileged: host["Privileged"] === true,
    capabilitiesAdded: textsOf(host["CapAdd"]).map(capabilityName),
    capabilitiesDropped: textsOf(host["CapDrop"]).map(capabilityName),
    hostNamespaces: NAMESPACES.filter((namespace) => textOf(host[MODES[namespace]]) === "host"),
    securityOptions: securityOptionsOf(textsOf(host["SecurityOpt"])),
    unmasked: Array.isArray(host["MaskedPaths"]) && host["MaskedPaths"].length === 0 && host["Privileged"] !== true,
    readOnlyRoot: host["ReadonlyRootfs"] === true,
    mounts: [...textsOf(host["Binds"]).map(readBind), ...listOf(host["Mounts"]).map((mount) => readMount(fieldsOf(mount)))],
    devices: listOf(host["Devices"]).map((device) => textOf(fieldsOf(device)["PathOnHost"])),
    sysctls: pairsOf(host["Sysctls"]),
    memoryBytes: numberOf(host["Memory"]),
    pids: Math.max(0, numberOf(host["PidsLimit"])),
    cpus: numberOf(host["NanoCpus"]) / 1e9 || numberOf(host["CpuQuota"]) / (numberOf(host["CpuPeriod"]) || 100_000) || numberOf(host["CpuShares"]) / 1024,
    ports: Object.entries(fieldsOf(host["PortBindings"])).flatMap(([port, bindings]) => listOf(bindings).map((binding) => readPort(port, fieldsOf(binding)))),
    restart: textOf(fieldsOf(host["RestartPolicy"])["Name"]),
    healthCheck: health.length > 0 && health[0] !== "NONE",
    labels: pairsOf(config["Labels"]),
    accepted: acceptedIn(pairsOf(config["Labels"])),
  };
}

/** An inspect says what it really is; a create says what was asked for. */
function boundaryOf(document: Fields, host: Fields): WorkloadView["boundary"] {
  const real = fieldsOf(document["Boundary"]);
  if (typeof real["kind"] === "string") return { kind: real["kind"], emulated: real["emulated"] === true };
  const asked = textOf(host["Isolation"]) || textOf(host["Runtime"]);
  return asked === "" || asked === "default" || asked === "auto" ? undefined : { kind: asked, emulated: false };
}

/** One part alone is a place in the workload, for which an anonymous volume is made. */
function readBind(text: string): MountView {
  const [source = "", target = "", modes = ""] = text.includes(":") ? text.split(":") : ["", text];
  return { source, target, ...readModes(modes) };
}

/** `ro,rshared`: what follows the second colon, in a bind and in a compose file. */
export function readModes(modes: string): Pick<MountView, "readOnly" | "propagation"> {
  const options = modes.split(",");
  return { readOnly: options.includes("ro"), propagation: options.find((one) => /^r?(private|slave|shared)$/.test(one)) ?? "" };
}

function readMount(mount: Fields): MountView {
  const source = mount["Type"] === "bind" ? textOf(mount["Source"]) : "";
  return { source, target: textOf(mount["Target"]), readOnly: mount["ReadOnly"] === true, propagation: textOf(fieldsOf(mount["BindOptions"])["Propagation"]) };
}

function readPort(port: string, binding: Fields): PortView {
  const hostPort = textOf(binding["HostPort"]);
  return { port, hostAddress: textOf(binding["HostIp"]), hostPort: hostPort === "" ? undefined : Number(hostPort) };
}

/** The body with one thing changed. What an inspect adds is dropped by who sends it. */
export function editCreate(body: Fields, edit: Edit): Fields {
  const host = fieldsOf(body["HostConfig"]);
  const changed = edit.kind === "user" ? host : { ...host, ...hostEdit(host, edit) };
  return edit.kind === "user" ? { ...body, User: edit.user } : { ...body, HostConfig: changed };
}

function hostEdit(host: Fields, edit: Exclude<Edit, { kind: "user" }>): Fields {
  switch (edit.kind) {
    case "unprivileged":
      return { Privileged: false };
    case "without-capability":
      return { CapAdd: textsOf(host["CapAdd"]).filter((name) => capabilityName(name) !== edit.capability) };
    case "drop-capabilities":
      return { CapDrop: ["ALL"] };
    case "own-namespace":
      return { [MODES[edit.namespace]]: edit.namespace === "network" ? "bridge" : "" };
    case "security-option":
      return { SecurityOpt: withOption(textsOf(host["SecurityOpt"]), edit.name, edit.value) };
    case "mask-paths":
      return { MaskedPaths: undefined, ReadonlyPaths: undefined };
    case "without-mount":
      return {
        Binds: textsOf(host["Binds"]).filter((text) => readBind(text).target !== edit.target),
        Mounts: listOf(host["Mounts"]).filter((mount) => fieldsOf(mount)["Target"] !== edit.target),
      };
    case "private-mount":
      return {
        Binds: textsOf(host["Binds"]).map((text) => (readBind(text).target === edit.target ? text.replace(/\br?shared\b/, "private") : text)),
        Mounts: listOf(host["Mounts"]).map((mount) =>
          fieldsOf(mount)["Target"] === edit.target ? { ...fieldsOf(mount), BindOptions: { Propagation: "private" } } : mount,
        ),
      };
    case "without-device":
      return { Devices: listOf(host["Devices"]).filter((device) => fieldsOf(device)["PathOnHost"] !== edit.path) };
    case "without-sysctl":
      return { Sysctls: Object.fromEntries(Object.entries(pairsOf(host["Sysctls"])).filter(([name]) => name !== edit.name)) };
    case "read-only-root":
      return { ReadonlyRootfs: true, Tmpfs: { "/tmp": "", "/run": "", ...pairsOf(host["Tmpfs"]) } };
    case "memory":
      return { Memory: edit.bytes };
    case "pids":
      return { PidsLimit: edit.most };
    case "cpus":
      return { NanoCpus: edit.cpus * 1e9 };
    case "loopback": {
      const all = fieldsOf(host["PortBindings"]);
      return { PortBindings: { ...all, [edit.port]: listOf(all[edit.port]).map((binding) => ({ ...fieldsOf(binding), HostIp: "127.0.0.1" })) } };
    }
    case "restart-on-failure":
      return { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 5 } };
  }
}

export function withOption(options: readonly string[], name: string, value: string | undefined): readonly string[] {
  const others = options.filter((option) => option !== name && !option.startsWith(`${name}=`) && !option.startsWith(`${name}:`));
  return value === undefined ? others : [...others, value === "true" ? name : `${name}=${value}`];
}
