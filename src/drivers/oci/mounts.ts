/** What a workload of an OCI runtime sees mounted: the kernel's own, our three files, then the workload's, outermost first. Pure. */

import { Failure, quote } from "../../contract/failure.ts";
import type { MountSpec, SandboxSpec } from "../../contract/spec.ts";
import type { OciMount } from "./oci-config.ts";

/** Files of the bundle that are shown at fixed places. */
export interface BundleFiles {
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
  /** A static init on the host, where one was asked for. */
  readonly init?: string;
}

/** Where the init is shown inside, as Docker does. */
export const INIT_TARGET = "/sbin/docker-init";

/** Where a runtime lets nothing set-uid, executable or a device appear. */
export const QUIET: readonly string[] = ["nosuid", "noexec", "nodev"];

/** `kernel`: what the boundary mounts of its kernel; a mount of the workload's own takes its place. */
export function composeMounts(spec: SandboxSpec, kernel: readonly OciMount[], files: BundleFiles, fileSources: readonly string[] = []): OciMount[] {
  const own = spec.mounts.map((mount) => toOciMount(mount, fileSources));
  const taken = new Set(own.map((mount) => mount.destination));
  // A /dev of the workload's own is left as it is; our files are shown even in an /etc of its own.
  const free = ({ destination }: OciMount) => !taken.has(destination) && !(taken.has("/dev") && destination.startsWith("/dev/"));
  const above = [...own, ...fileMounts(files).filter(free)].sort((a, b) => depth(a.destination) - depth(b.destination));
  return [...kernel.filter(free), ...above];
}

function fileMounts(files: BundleFiles): OciMount[] {
  return [
    bindOf(files.resolvConf, "/etc/resolv.conf", []),
    bindOf(files.hostname, "/etc/hostname", []),
    bindOf(files.hosts, "/etc/hosts", []),
    ...(files.init === undefined ? [] : [bindOf(files.init, INIT_TARGET, ["ro"])]),
  ];
}

export function bindOf(source: string, destination: string, options: readonly string[]): OciMount {
  return { destination, type: "bind", source, options: ["rbind", "rprivate", ...options] };
}

function toOciMount(mount: MountSpec, fileSources: readonly string[]): OciMount {
  const destination = cleanTarget(mount.target);
  if (mount.kind === "bind") {
    // Read-only holds for what is mounted below a directory as well; crun 1.8 takes that option for directories alone.
    const readOnly = fileSources.includes(mount.source) ? ["ro"] : ["ro", "rro"];
    const options = ["rbind", mount.propagation ?? "rprivate", ...(mount.readOnly ? readOnly : [])];
    return { destination, type: "bind", source: mount.source, options };
  }
  const flags = new Set(mount.options);
  const kept = ["noexec", "nosuid", "nodev"].filter((flag) => !flags.has(flag) && !flags.has(flag.slice(2)));
  return {
    destination,
    type: "tmpfs",
    source: "tmpfs",
    options: [
      ...kept,
      ...mount.options,
      ...(mount.readOnly ? ["ro"] : []),
      ...(mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`]),
      ...(mount.mode === undefined ? [] : [`mode=${mount.mode.toString(8)}`]),
    ],
  };
}

function cleanTarget(target: string): string {
  const parts: string[] = [];
  for (const part of target.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  if (!target.startsWith("/") || parts.length === 0) {
    throw new Failure("INVALID_SPEC", `Nothing can be mounted on ${quote(target)}: a mount needs an absolute path below /`);
  }
  return `/${parts.join("/")}`;
}

function depth(target: string): number {
  return target.split("/").filter(Boolean).length;
}

/** The widest propagation that a bind asks for decides the root's own, as Docker has it. */
export function rootPropagation(mounts: readonly MountSpec[]): string | undefined {
  const asked = new Set(mounts.map((mount) => (mount.kind === "bind" ? mount.propagation?.replace(/^r/, "") : undefined)));
  if (asked.has("shared")) return "shared";
  return asked.has("slave") ? "rslave" : undefined;
}
