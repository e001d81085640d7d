/** Device nodes of the host, as runtimes have to be told of them. */

import { readdirSync, readFileSync, type Stats, statSync } from "node:fs";

export interface DeviceNode {
  readonly type: "c" | "b";
  readonly path: string;
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What is at a path, or undefined where that is no device. Links are followed. */
export function findDevice(path: string): DeviceNode | undefined {
  let status: Stats;
  try {
    status = statSync(path);
  } catch {
    return undefined;
  }
  const type = status.isCharacterDevice() ? "c" : status.isBlockDevice() ? "b" : undefined;
  if (type === undefined) return undefined;
  // glibc's gnu_dev_major and gnu_dev_minor, for numbers below 2^32.
  const major = (status.rdev >>> 8) & 0xfff;
  const minor = (status.rdev & 0xff) | ((status.rdev >>> 12) & 0xfff00);
  return { type, path, major, minor, fileMode: status.mode & 0o777, uid: status.uid, gid: status.gid };
}

/** What the kernel itself calls the device of that number, below /dev; undefined where it has no name for it. */
export function findKernelName({ type, major, minor }: Pick<DeviceNode, "type" | "major" | "minor">): string | undefined {
  try {
    const said = readFileSync(`/sys/dev/${type === "b" ? "block" : "char"}/${major}:${minor}/uevent`, "utf8");
    const name = /^DEVNAME=(.+)$/m.exec(said)?.[1];
    return name === undefined ? undefined : `/dev/${name}`;
  } catch {
    return undefined;
  }
}

/** Not devices of the host, but of whoever opens them. */
const PRIVATE = new Set(["pts", "shm", "fd", "mqueue", "console", "ptmx"]);

/** Every device below /dev. */
export function listDevices(directory = "/dev"): DeviceNode[] {
  const devices: DeviceNode[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (directory === "/dev" && (PRIVATE.has(entry.name) || entry.name.startsWith("."))) continue;
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory()) devices.push(...listDevices(path));
    else if (entry.isCharacterDevice() || entry.isBlockDevice()) {
      const device = findDevice(path);
      if (device !== undefined) devices.push(device);
    }
  }
  return devices;
}
