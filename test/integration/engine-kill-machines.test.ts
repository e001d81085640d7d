/** The same table on the real microvm driver: SIGKILL to the daemon while machines are made, booted, told to start, and ended. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll } from "vitest";
import { plainCall } from "../../src/contract/call.ts";
import { createMicrovmDriver } from "../../src/drivers/microvm/driver.ts";
import { describeKillTable, type Bed } from "./engine/kill-table.ts";
import { BUSYBOX, makeBusyboxLayer } from "./host/busybox-root.ts";
import { findNativeProgram } from "./host/native-program.ts";
import { openOwnLauncher, type OwnLauncher } from "./host/own-launcher.ts";

let bed: Bed | string;
let launcher: OwnLauncher | undefined;
beforeAll(async () => {
  bed = await openBed();
});
afterAll(() => launcher?.close());

async function openBed(): Promise<Bed | string> {
  const guest = findNativeProgram("bulkhead-guest");
  if (guest === undefined) return "bulkhead-guest is not built";
  if (!existsSync(BUSYBOX)) return "busybox-static is not installed";
  const own = await openOwnLauncher("kill");
  if ("unavailable" in own) return own.unavailable;
  launcher = own;
  const { root, sockets, client } = own;
  // What the trial found is kept below the root: the daemons that are killed do not boot one again.
  const { usable, findings } = await createMicrovmDriver({ launcher: client, root, sockets, guestPrograms: [guest] }).probe(plainCall());
  if (!usable) return findings.find(({ level }) => level === "missing")?.what ?? "machines cannot be used here";
  for (let waited = 0; waited < 100 && ((await own.traces())["supervisors"] ?? []).length > 0; waited++) await sleep(20);
  const drive = join(root, "layer.erofs");
  const { bytes } = await client.request("layerImage", { directory: makeBusyboxLayer(root), file: drive });
  return { launcher: own, ground: { root, sockets, launcher: join(root, "run/launcher.sock"), image: { drive, bytes, guest } } };
}

describeKillTable({ bed: () => bed, points: 4, withinMs: [1, 20, 150, 400, 800], alsoWithinMs: [] });
