/** Limits of this process and of the kernel that many workloads run into. */

import { readFileSync } from "node:fs";
import type { Finding } from "../../contract/driver.ts";
import { findKernelValue } from "./kernel-file.ts";
import type { ReadValue } from "./kernel.ts";

/** A sandbox, its attachments and its client take about six descriptors in the daemon. */
const WANTED_FILES = 8192;
const WANTED_PIDS = 32_768;
const WANTED_INOTIFY = 1024;

export function judgeLimits(read: ReadValue = findKernelValue, limits: string = readFileSync("/proc/self/limits", "utf8")): Finding[] {
  const findings: Finding[] = [];
  const files = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
  const open = files === "unlimited" || files === undefined ? Number.POSITIVE_INFINITY : Number(files);
  findings.push(
    open < WANTED_FILES
      ? {
          id: "limit-open-files",
          level: "warning",
          what: `The daemon may open ${open} files; ${WANTED_FILES} are advised`,
          remedy: "ulimit -n 65536 before starting it, or LimitNOFILE=65536 in its unit",
        }
      : { id: "limit-open-files", level: "ok", what: `The daemon may open ${files ?? "any number of"} files` },
  );
  const pids = Number(read("/proc/sys/kernel/pid_max") ?? WANTED_PIDS);
  if (pids < WANTED_PIDS) findings.push({ id: "limit-pids", level: "warning", what: `kernel.pid_max is ${pids}`, remedy: "sysctl -w kernel.pid_max=4194304" });
  const instances = Number(read("/proc/sys/fs/inotify/max_user_instances") ?? WANTED_INOTIFY);
  if (instances < WANTED_INOTIFY) {
    findings.push({
      id: "limit-inotify",
      level: "note",
      what: `fs.inotify.max_user_instances is ${instances}: workloads of one user share it, and many that watch files run out`,
      remedy: `sysctl -w fs.inotify.max_user_instances=${WANTED_INOTIFY * 8}`,
    });
  }
  return findings;
}
