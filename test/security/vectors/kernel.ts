/** What a kernel that is shared could be asked for. */

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { HostConfig } from "@bulkhead/sdk";
import type { Bed, Target } from "../bed.ts";
import type { Vector } from "../vector.ts";

const PRIVILEGED: HostConfig = { Privileged: true };
const UNFILTERED: HostConfig = { SecurityOpt: ["seccomp=unconfined", "apparmor=unconfined"] };
const BURST = "/proc/sys/kernel/printk_ratelimit_burst";
const PAGES = "/sys/kernel/mm/ksm/sleep_millisecs";
/** A number of seconds that nothing else sleeps. */
const SLEEP = "31457";

export const KERNEL_VECTORS: readonly Vector[] = [
  {
    id: "device-node",
    deed: "read a disk of the host through a device node of its own making",
    follows: "mknod(2)",
    attempt: (bed) => `mknod /tmp/disk b ${bed.disk?.major} ${bed.disk?.minor}; for disk in /tmp/disk ${bed.disk?.path}; do head -c 64 $disk; done`,
    effect: "secret",
    told: /Operation not permitted/,
    control: { host: deviceOf },
    needs: (bed) => (bed.disk === undefined ? "this host has no loop device to be read" : undefined),
  },
  {
    id: "kernel-log",
    deed: "write to the host's kernel log through a device node of its own making",
    follows: "/dev/kmsg; the same door as /dev/mem, /dev/port and every other device",
    attempt: (bed) => `mknod /tmp/log c 1 11; echo ${bed.secret} >/tmp/log; echo ${bed.secret} >/dev/kmsg`,
    effect: { seen: (bed) => execFileSync("dmesg", { encoding: "utf8", maxBuffer: 1 << 26 }).includes(bed.secret) },
    told: /Operation not permitted/,
    control: { host: { Devices: [{ PathOnHost: "/dev/kmsg", PathInContainer: "/dev/kmsg", CgroupPermissions: "rwm" }] } },
    needs: () => (existsSync("/dev/kmsg") ? undefined : "this host has no /dev/kmsg"),
  },
  {
    id: "proc-sys",
    deed: "change a setting of the host's kernel in /proc/sys",
    follows: "/proc/sys and, by the same door, core_pattern",
    attempt: () => writing("/proc", "proc", BURST),
    effect: { setting: BURST },
    told: /Read-only file system/,
    control: { host: PRIVILEGED },
  },
  {
    id: "sysfs",
    deed: "change a setting of the host's kernel in /sys",
    follows: "/sys and, by the same door, uevent_helper",
    attempt: () => writing("/sys", "sysfs", PAGES),
    effect: { setting: PAGES },
    told: /Read-only file system/,
    control: { host: PRIVILEGED },
    needs: () => (existsSync(PAGES) ? undefined : `this kernel has no ${PAGES}`),
  },
  {
    id: "cgroup-mount",
    deed: "mount the host's control groups, whose release_agent the kernel would run on the host",
    follows: "CVE-2022-0492, up to the mount",
    attempt: () => {
      const mounts = ["-t cgroup2 none", ...controllers().map((name) => `-t cgroup -o ${name} none`)];
      const script = mounts.map((words) => `mount ${words} /tmp/groups`).join("; ");
      return `mkdir -p /tmp/groups; ${script}; unshare -U -r -m sh -c "${script}"`;
    },
    effect: { seen: async (bed, target) => /\/tmp\/groups .*- cgroup/.test(readFileSync(`/proc/${await pidOf(bed, target)}/mountinfo`, "utf8")) },
    told: /ermission denied|Operation not permitted/,
    control: { host: PRIVILEGED },
  },
  {
    id: "user-namespace",
    deed: "make a user namespace of the host's kernel, and with it reach code that only root reaches",
    follows: "CVE-2022-0185, CVE-2022-0492, CVE-2023-0386",
    attempt: () => `unshare -U -r sleep ${SLEEP} & sleep 0.5`,
    effect: { seen: () => sleepers().some((pid) => readlinkSync(`/proc/${pid}/ns/user`) !== readlinkSync("/proc/self/ns/user")) },
    told: /Operation not permitted/,
    control: { host: UNFILTERED },
  },
];

/** Another number than is there, by the file as it is, the file made writable, and a file system of one's own. */
function writing(below: string, type: string, path: string): string {
  const value = Number(readFileSync(path, "utf8")) + 1;
  const tries = [
    `echo ${value} >${path}`,
    `mount -o remount,rw ${below}; mount -o remount,rw ${below}/sys; echo ${value} >${path}`,
    `mkdir -p /tmp/own; mount -t ${type} none /tmp/own && echo ${value} >/tmp/own${path.slice(below.length)}; umount /tmp/own`,
  ];
  return `${tries.join("; ")}; unshare -U -r -m sh -c '${tries[2]}'`;
}

function deviceOf(bed: Bed): HostConfig {
  return { UsernsMode: "host", Devices: [{ PathOnHost: bed.disk?.path ?? "", PathInContainer: "/dev/disk", CgroupPermissions: "rwm" }] };
}

/** Those of control groups version 1 that this host has mounted. */
function controllers(): string[] {
  const lines = readFileSync("/proc/self/cgroup", "utf8").split("\n");
  return lines.map((line) => line.split(":")[1] ?? "").filter((names) => names !== "" && !names.startsWith("name="));
}

async function pidOf(bed: Bed, target: Target): Promise<number> {
  return (await bed.daemon.client.workloads.inspect(target.name)).State.Pid;
}

function sleepers(): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").endsWith(`sleep\0${SLEEP}\0`);
    } catch {
      return false; // gone meanwhile
    }
  });
}
