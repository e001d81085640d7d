/** An upgrade while workloads run: a daemon whose protocol has gone on finds the launcher and the supervisors of the release before. */

import { plainProcess } from "../../src/contract/process.ts";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { plainCall } from "../../src/contract/call.ts";
import type { Bundle } from "../../src/contract/driver.ts";
import { createContainerDriver } from "../../src/drivers/container/driver.ts";
import { makeBusyboxLayer, specOf } from "./host/busybox-root.ts";
import { openOwnLauncher, type OwnLauncher } from "./host/own-launcher.ts";

const PROTOCOL = vi.hoisted(() => ({ oldest: 1, newest: 1 }));
vi.mock("../../src/contract/protocol-version.ts", () => ({ PROTOCOL }));

let launcher: OwnLauncher;

beforeAll(async () => {
  const opened = await openOwnLauncher("upgrade");
  if ("unavailable" in opened) throw new Error(opened.unavailable);
  launcher = opened;
});
afterAll(() => launcher.close());

test("a daemon of the next version adopts a running workload, speaks to it, ends it and launches others", async () => {
  const call = plainCall();
  const directoryOf = (workload: string) => join(launcher.root, "workloads", workload);
  const layer = makeBusyboxLayer(launcher.root);
  const main = plainProcess(["sh", "-c", "echo ready; exec sleep 100"]);
  const open = (client: OwnLauncher["client"]) => createContainerDriver({ launcher: client, root: launcher.root, sockets: launcher.sockets });
  const raise = async (driver: ReturnType<typeof open>): Promise<Bundle> => {
    const spec = specOf(randomBytes(32).toString("hex"), layer, directoryOf);
    const bundle = await driver.prepare(spec, directoryOf(spec.workload), call);
    const sandbox = await driver.launch(bundle, main, call);
    await sandbox.start(call);
    return bundle;
  };
  const bundle = await raise(open(launcher.client));

  PROTOCOL.newest = 2;
  const later = open(launcher.connect());
  const adoption = await later.adopt(bundle, call);
  if (adoption.state !== "standing") throw new Error(`it is ${adoption.state}`);
  expect(adoption.main).toBe("running");
  const exec = await adoption.sandbox.exec?.run({ ...main, command: ["sh", "-c", "exit 5"] }, { stdin: false, stdout: true, stderr: true }, call);
  expect((await exec?.process.exited)?.code).toBe(5);
  await adoption.sandbox.end(call);
  expect((await adoption.sandbox.ended).kind).toBe("ended");

  const another = await raise(later);
  for (const each of [bundle, another]) await later.remove(each, call);
  expect((await launcher.traces())["workloads"]).toEqual([]);

  // Two versions on it may have dropped the one that this launcher speaks: then it is refused, and by version.
  Object.assign(PROTOCOL, { oldest: 2, newest: 3 });
  await expect(launcher.connect().hello()).rejects.toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("versions 1 to 1") });
});
