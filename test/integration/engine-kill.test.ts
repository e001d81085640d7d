/** SIGKILL to the daemon at every point of its work, on the real container driver: each workload is wholly there or wholly gone. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { describeKillTable, type Bed } from "./engine/kill-table.ts";
import { BUSYBOX, makeBusyboxLayer } from "./host/busybox-root.ts";
import { openOwnLauncher } from "./host/own-launcher.ts";

let bed: Bed | string;
beforeAll(async () => {
  bed = await openBed();
});
afterAll(async () => {
  if (typeof bed !== "string") await bed.launcher.close();
});

async function openBed(): Promise<Bed | string> {
  if (!existsSync(BUSYBOX)) return "busybox-static is not installed";
  const launcher = await openOwnLauncher("kill");
  if ("unavailable" in launcher) return launcher.unavailable;
  const { root, sockets } = launcher;
  return { launcher, ground: { root, sockets, launcher: join(root, "run/launcher.sock"), image: { directory: makeBusyboxLayer(root) } } };
}

describeKillTable({ bed: () => bed, points: 10, withinMs: [1, 4], alsoWithinMs: [2, 8, 16] });
