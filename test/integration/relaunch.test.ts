/** A workload is started again while its earlier supervisor still ends, and its daemon dies: the next one must find, and can remove, both. */

import { randomBytes } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { plainCall } from "../../src/contract/call.ts";
import { plainProcess } from "../../src/contract/process.ts";
import type { LaunchPlan } from "../../src/contract/launch-plan.ts";
import { createContainerDriver } from "../../src/drivers/container/driver.ts";
import type { Launcher } from "../../src/host/launcher-client.ts";
import { makeBusyboxLayer, specOf } from "./host/busybox-root.ts";
import { openOwnLauncher } from "./host/own-launcher.ts";

/** The launcher's children: its zygote, and whom that forked to supervise. */
function childrenOf(launcher: number): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      const [, state, parent] = /\) (\S) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
      return state !== "Z" && Number(parent) === launcher;
    } catch {
      return false;
    }
  });
}

/** Remembers the plan that it was asked to launch. */
function recording(client: Launcher, plans: LaunchPlan[]): Launcher {
  return {
    hello: () => client.hello(),
    request: (verb, ask, progress) => {
      if ("plan" in ask) plans.push(ask.plan);
      return client.request(verb, ask, progress);
    },
  };
}

test("a launch that waits for the supervisor before it is removed with it", async () => {
  const launcher = await openOwnLauncher("relaunch");
  if ("unavailable" in launcher) throw new Error(launcher.unavailable);
  try {
    const call = plainCall();
    const { pid } = await launcher.client.hello();
    const before = childrenOf(pid);
    const supervisors = () => childrenOf(pid).filter((child) => !before.includes(child));
    const directoryOf = (workload: string) => join(launcher.root, "workloads", workload);
    const open = (client: Launcher) => createContainerDriver({ launcher: client, root: launcher.root, sockets: launcher.sockets });
    const first = launcher.connect();
    const plans: LaunchPlan[] = [];
    const driver = open(recording(first, plans));
    const spec = specOf(randomBytes(32).toString("hex"), makeBusyboxLayer(launcher.root), directoryOf);
    const bundle = await driver.prepare(spec, directoryOf(spec.workload), call);
    await (await driver.launch(bundle, plainProcess(["sleep", "1000"]), call)).start(call);
    const [earlier = 0] = supervisors();

    // Both are as slow as can be: the earlier does not end yet, so the later waits for it, and does not go on where it could.
    process.kill(earlier, "SIGSTOP");
    const plan = plans.at(-1);
    if (plan === undefined) throw new Error("nothing was launched");
    const again = first.request("launch", { plan }).catch(() => undefined);
    await expect.poll(() => supervisors().length, { timeout: 10_000 }).toBe(2);
    const later = supervisors().find((child) => child !== earlier) ?? 0;
    process.kill(later, "SIGSTOP");
    process.kill(earlier, "SIGCONT");
    first.close();

    // As an adoption does that finds no supervisor that answers.
    await launcher.client.request("remove", { workload: spec.workload, directory: bundle.directory, keepDirectory: true });
    await again;
    if (supervisors().includes(later)) process.kill(later, "SIGCONT");
    await sleep(500);
    await expect.poll(supervisors, { timeout: 10_000 }).toEqual([]);
    expect(readdirSync(join(launcher.root, "run/supervisors")).filter((name) => name.endsWith(".json"))).toEqual([]);
    await open(launcher.client).remove(bundle, call);
  } finally {
    await launcher.close();
  }
}, 60_000);
