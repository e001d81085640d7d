/** Privileges, devices and namespaces: what a client may loosen or tighten. */

import { Failure, quote } from "../../contract/failure.ts";
import type { DeviceSpec } from "../../contract/spec.ts";
import type { SecurityRequest } from "../../engine/index.ts";
import type { HostConfigBody } from "./create-shape.ts";
import { present } from "./present.ts";

type HostNamespace = SecurityRequest["hostNamespaces"][number];

/** Rejects INVALID_SPEC for an option that does not exist, UNSUPPORTED for one that is not carried out. */
export function readSecurity(host: HostConfigBody): SecurityRequest {
  const options = readSecurityOptions(host.SecurityOpt ?? []);
  return {
    privileged: host.Privileged ?? false,
    capabilitiesAdd: (host.CapAdd ?? []).map(readCapability),
    capabilitiesDrop: (host.CapDrop ?? []).map(readCapability),
    ...present({ noNewPrivileges: options.noNewPrivileges, seccomp: options.seccomp, appArmor: options.appArmor }),
    readOnlyRoot: host.ReadonlyRootfs ?? false,
    hostNamespaces: readHostNamespaces(host),
    devices: (host.Devices ?? []).map(readDevice),
    ...present({ maskedPaths: host.MaskedPaths ?? undefined, readOnlyPaths: host.ReadonlyPaths ?? undefined }),
  };
}

/** `NET_ADMIN`, `cap_net_admin` and `ALL` as clients write them; with `CAP_`, but for ALL. */
function readCapability(name: string): string {
  const upper = name.toUpperCase();
  if (upper === "ALL") return upper;
  if (!/^(CAP_)?[A-Z_]{3,40}$/.test(upper)) throw new Failure("INVALID_SPEC", `invalid capability: ${quote(name)}`);
  return upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
}

interface SecurityOptions {
  noNewPrivileges?: boolean;
  seccomp?: NonNullable<SecurityRequest["seccomp"]>;
  appArmor?: string;
}

function readSecurityOptions(given: readonly string[]): SecurityOptions {
  const options: SecurityOptions = {};
  for (const option of given) {
    const [, name = option, value = ""] = /^([a-z-]+)[=:]([\s\S]*)$/.exec(option) ?? [];
    if (name === "no-new-privileges") options.noNewPrivileges = readTruth(value, option);
    else if (name === "seccomp") readSeccomp(value, options);
    else if (name === "apparmor") options.appArmor = value;
    // The client itself turns systempaths=unconfined into empty lists of paths.
    else if (name === "systempaths" && value === "unconfined") continue;
    else if (name === "label") {
      if (value !== "disable")
        throw new Failure("UNSUPPORTED", "SELinux labels cannot be given", { remedy: "Use --security-opt label=disable, or leave it out." });
    } else throw new Failure("INVALID_SPEC", `invalid --security-opt: ${quote(option)}`);
  }
  return options;
}

/** As Go reads it. What is neither must not pass for "no": the workload would be weaker than it was asked for. */
function readTruth(value: string, option: string): boolean {
  if (["", "1", "t", "T", "true", "TRUE", "True"].includes(value)) return true;
  if (["0", "f", "F", "false", "FALSE", "False"].includes(value)) return false;
  throw new Failure("INVALID_SPEC", `invalid --security-opt: ${quote(option)}`, { remedy: "Write no-new-privileges, or no-new-privileges=false." });
}

function readSeccomp(value: string, options: SecurityOptions): void {
  if (value === "unconfined") options.seccomp = "unconfined";
  else if (value !== "builtin" && value !== "default") options.seccomp = { profile: checkedProfile(value) };
}

function checkedProfile(value: string): string {
  try {
    JSON.parse(value);
    return value;
  } catch (cause) {
    throw new Failure("INVALID_SPEC", `the seccomp profile is not JSON: ${quote(value)}`, {
      remedy: "The client sends the profile's text, not its path.",
      cause,
    });
  }
}

/** Each of Docker's modes: the field, what it joins when `host`, and which values mean the workload's own. */
const NAMESPACES: readonly {
  readonly field: "PidMode" | "IpcMode" | "UTSMode" | "UsernsMode" | "CgroupnsMode";
  readonly joins: HostNamespace;
  readonly own: readonly string[];
}[] = [
  { field: "PidMode", joins: "pid", own: ["private"] },
  // Nobody can join it, so that shareable and private are the same to whoever asks.
  { field: "IpcMode", joins: "ipc", own: ["private", "shareable"] },
  { field: "UTSMode", joins: "uts", own: [] },
  { field: "UsernsMode", joins: "user", own: ["private"] },
  { field: "CgroupnsMode", joins: "cgroup", own: ["private"] },
];

function readHostNamespaces(host: HostConfigBody): readonly HostNamespace[] {
  const joined: HostNamespace[] = [];
  for (const { field, joins, own } of NAMESPACES) {
    const mode = host[field] ?? "";
    if (mode === "host") joined.push(joins);
    else if (mode.startsWith("container:"))
      throw new Failure("UNSUPPORTED", `joining another container's namespace (${field} ${quote(mode)}) is not carried out`);
    else if (mode !== "" && !own.includes(mode)) throw new Failure("INVALID_SPEC", `invalid ${field}: ${quote(mode)}`);
  }
  return joined;
}

function readDevice(device: NonNullable<HostConfigBody["Devices"]>[number]): DeviceSpec {
  const access = device.CgroupPermissions || "rwm";
  if (!device.PathOnHost.startsWith("/")) throw new Failure("INVALID_SPEC", `invalid device: ${quote(device.PathOnHost)}`);
  if (!/^[rwm]{1,3}$/.test(access)) throw new Failure("INVALID_SPEC", `invalid device mode: ${quote(access)}`);
  return { hostPath: device.PathOnHost, path: device.PathInContainer || device.PathOnHost, access };
}
