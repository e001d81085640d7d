/** Paths of the host that are more than files. */

import { normalHostPath } from "../../contract/privilege.ts";

/** What lies there; the first that fits says it. A path is sensitive where it lies at or below one of these, or shows it. */
const SENSITIVE: readonly { readonly path: string; readonly what: string }[] = [
  { path: "/etc", what: "accounts and services" },
  { path: "/root", what: "root's home" },
  { path: "/boot", what: "the kernel" },
  { path: "/dev", what: "every device" },
  { path: "/proc", what: "the kernel's settings and every process" },
  { path: "/sys", what: "the kernel's settings" },
  { path: "/lib", what: "programs' libraries and kernel modules" },
  { path: "/usr", what: "the host's programs" },
  { path: "/bin", what: "the host's programs" },
  { path: "/sbin", what: "the host's programs" },
  { path: "/run", what: "sockets and state of the host's services" },
  { path: "/var/lib/docker", what: "every container's files" },
  { path: "/var/lib/containerd", what: "every container's files" },
  { path: "/var/lib/containers", what: "every container's files" },
  { path: "/var/lib/bulkhead", what: "every workload's files" },
  { path: "/var/lib/kubelet", what: "every pod's files and secrets" },
  { path: "/var/spool/cron", what: "jobs that the host runs" },
];
/** Files there that hosts share with everybody. */
const HARMLESS = new Set([
  "/etc/localtime",
  "/etc/timezone",
  "/etc/resolv.conf",
  "/etc/hosts",
  "/etc/hostname",
  "/etc/ssl/certs",
  "/etc/ca-certificates",
  "/usr/share/zoneinfo",
  "/usr/share/ca-certificates",
]);

/** What a bind of this path shows of the host; undefined where it is somebody's own data. */
export function sensitivityOf(source: string): string | undefined {
  const path = normalHostPath(source);
  if (path === "/") return "all of it";
  if (HARMLESS.has(path) || [...HARMLESS].some((one) => path.startsWith(`${one}/`))) return undefined;
  if (path === "/var" || path === "/var/lib") return "services' files, other workloads' among them";
  return SENSITIVE.find((one) => inside(path, one.path) || (inside(one.path, path) && path !== "/"))?.what;
}

function inside(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(`${outer}/`);
}
